"""Promise: whatever the handler changed is saved, wherever the middleware stands in the stack."""

from collections.abc import AsyncGenerator

import pytest

from jv_session_mw import ConversationStore, RedisConversationStore
from tests.promises.apps import changed
from tests.promises.clients import WAYS, Way
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.stacks import STACKS, visiting
from tests.servers import RedisServer


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    async with RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS) as store:
        yield store


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["endpoint", "stream", "sse", "background"])
@pytest.mark.parametrize("stack", list(STACKS))
async def test_a_conversation_is_kept_wherever_the_middleware_stands(
    store: ConversationStore, stack: str, place: str, way: Way
) -> None:
    build, path = STACKS[stack]
    visitor = visiting(build(store), way, path)
    await visitor.turn(place, "one")
    await visitor.turn(place, "two")
    assert await visitor.read() == changed(["one", "two"])
    (id,) = await store.keys()
    async with store.open(id) as conversation:
        assert conversation.version == 2
