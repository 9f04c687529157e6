"""Fixtures of processes that want the same conversation's turn."""

from collections.abc import AsyncGenerator, Generator

import pytest

from jv_session_mw import ConversationStore, RedisConversationStore
from tests.backends.harness import Bytes
from tests.servers import RedisServer
from tests.stores import PATIENCE


@pytest.fixture
async def processes(valkey: RedisServer) -> AsyncGenerator[list[ConversationStore]]:
    """Two stores on one server, as two processes have them."""
    made: list[ConversationStore] = [
        RedisConversationStore(url=valkey.url, deadline=PATIENCE, connect_timeout=PATIENCE)
        for _ in range(2)
    ]
    yield made
    for store in made:
        await store.close()


@pytest.fixture
def stored(valkey: RedisServer) -> Generator[Bytes]:
    """The bytes in the server `valkey`."""
    stored = Bytes(valkey)
    yield stored
    stored.close()
