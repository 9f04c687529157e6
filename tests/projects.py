"""Databases of Supabase projects: one PostgreSQL per kind, with the shipped migrations."""

from typing import TypeAlias

import asyncpg

from jv_session_mw.tracking.migrations import migrations
from tests.postgres import DATABASE, PROJECT, PostgresServer

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

TRACKED = "tracked"
TABLES = (
    "chat_sessions",
    "chat_session_snapshots",
    "chat_session_events",
    "chat_session_batches",
    "chat_session_deletions",
    "chat_session_moves",
)


class Databases:
    """One running PostgreSQL per kind, for the whole session, started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, PostgresServer] = {}

    async def get(self, kind: str) -> PostgresServer:
        """Return the server of this kind, with the migrations applied and the tables empty."""
        if kind not in self._running:
            self._running[kind] = server = PostgresServer(kind)
            server.start()
            await set_up(server)
        server = self._running[kind]
        connection = await asyncpg.connect(server.url(TRACKED))
        await connection.execute(f"truncate {', '.join(TABLES)}")
        await connection.close()
        return server

    def close(self) -> None:
        for server in self._running.values():
            server.close()


async def set_up(server: PostgresServer) -> None:
    """Make the roles of a project, and a database with the migrations."""
    administration = await asyncpg.connect(server.url("postgres"))
    await administration.execute(PROJECT)
    await administration.execute(f"create database {TRACKED}")
    await administration.close()
    connection = await asyncpg.connect(server.url(TRACKED))
    await connection.execute(DATABASE)
    for _, sql in migrations():
        await connection.execute(sql)
    await connection.close()
