"""Stores of every kind, whose own time-outs are never what a test meets."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from jv_session_mw import ConversationStore, MemoryConversationStore, RedisConversationStore
from tests.servers import KINDS, Servers

STORES = ("memory", *KINDS)
TTL_SECONDS = 600
PATIENCE = 10.0


@asynccontextmanager
async def opened(kind: str, servers: Servers) -> AsyncGenerator[ConversationStore]:
    """Open an empty store in memory, or on a server of this kind."""
    store: ConversationStore = MemoryConversationStore(ttl_seconds=TTL_SECONDS)
    if kind != "memory":
        store = RedisConversationStore(
            url=servers.get(kind).url,
            ttl_seconds=TTL_SECONDS,
            deadline=PATIENCE,
            connect_timeout=PATIENCE,
        )
    async with store:
        yield store


async def save(store: ConversationStore, id: str = "id", **state: object) -> None:
    """Set *state* in one conversation."""
    async with store.open(id) as conversation:
        conversation.state.update(state)
