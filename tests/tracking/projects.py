"""What tests ask of a project besides a tracker."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from tests.gateway import Gateway
from tests.projects import Database


@asynccontextmanager
async def client_of(gateway: Gateway, key: str) -> AsyncGenerator[AsyncClient]:
    """Make a client as an application or a browser has one."""
    async with httpx.AsyncClient() as http:
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False)
        yield await acreate_client(gateway.url, key, options)


async def counts(database: Database) -> dict[str, int]:
    rows = await database.fetch("select id, message_count from public.chat_sessions")
    return {row["id"]: row["message_count"] for row in rows}
