"""Trackers of every kind, each with its database empty when a test begins."""

from collections.abc import AsyncGenerator, Generator
from typing import TypeAlias

import asyncpg
import pytest

from jv_session_mw.tracking import MemorySessionTracker, SessionTracker, SupabaseSessionTracker
from jv_session_mw.tracking.migrations import migrations
from tests.tracking.gateway import Gateway, key_of
from tests.tracking.postgres import DATABASE, KINDS, PROJECT, PostgresServer

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

TRACKED = "tracked"
TABLES = (
    "chat_sessions",
    "chat_session_snapshots",
    "chat_session_events",
    "chat_session_batches",
    "chat_session_deletions",
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


@pytest.fixture(scope="session")
def databases() -> Generator[Databases]:
    shared = Databases()
    yield shared
    shared.close()


@pytest.fixture
async def postgres(databases: Databases) -> PostgresServer:
    """One server, where the kind does not matter; shared, so it must be left running."""
    return await databases.get("postgres-18")


@pytest.fixture
async def gateway(postgres: PostgresServer) -> AsyncGenerator[Gateway]:
    """The API of the database in `postgres`."""
    async with Gateway(postgres.url(TRACKED, "authenticator")).open() as gateway:
        yield gateway


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncGenerator[Database]:
    """A superuser's connection to the database in `postgres`."""
    connection = await asyncpg.connect(postgres.url(TRACKED))
    yield connection
    await connection.close()


def supabase(gateway: Gateway, **options: object) -> SupabaseSessionTracker:
    """Return a tracker that writes only when it is told to, unless *options* say otherwise."""
    settings = {"flush_interval": 3600.0, "timeout": 20.0, **options}
    return SupabaseSessionTracker(url=gateway.url, key=key_of("service_role"), **settings)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", *KINDS])
async def tracker(
    request: pytest.FixtureRequest, databases: Databases
) -> AsyncGenerator[SessionTracker]:
    """Run the test once for each kind of tracker."""
    if request.param == "memory":
        memory = MemorySessionTracker()
        await memory.open()
        yield memory
        await memory.close()
        return
    server = await databases.get(request.param)
    async with Gateway(server.url(TRACKED, "authenticator")).open() as gateway:
        tracker = supabase(gateway)
        await tracker.open()
        yield tracker
        await tracker.close()
