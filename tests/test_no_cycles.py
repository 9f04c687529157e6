"""A request leaves nothing to the garbage collector: what it held goes when it ends."""

import asyncio
import gc
import weakref
from collections.abc import Generator

import pytest
from starlette.types import Receive, Send

from jv_session_mw import Conversation, ConversationNotLoaded, MemoryConversationStore
from tests.promises.raw import Exchange, around, body, start


@pytest.fixture
def collector_off() -> Generator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("what", ["nothing", "read", "turn", "stream"])
async def test_a_conversation_ends_with_its_request(what: str) -> None:
    store = MemoryConversationStore()
    alive: list[weakref.ref[Conversation]] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        alive.append(weakref.ref(conversation))
        if what != "nothing":
            assert [*conversation.messages] == []
        if what in ("turn", "stream"):
            conversation.messages.append({"content": "hi"})
            conversation.state["step"] = 1
        await send(start() if what == "stream" else start(200, 2))
        await send(body(b"o", more=True))
        await send(body(b"k"))

    for _ in range(3):
        await Exchange().run(around(handler, store))
    assert [reference() for reference in alive] == [None, None, None]


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_a_conversation_ends_with_a_request_that_fails(error: type[BaseException]) -> None:
    store = MemoryConversationStore()
    alive: list[weakref.ref[Conversation]] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        alive.append(weakref.ref(conversation))
        conversation.messages.append({"content": "hi"})
        await send(start())
        raise error("broken")

    with pytest.raises(error, match="broken"):
        await Exchange().run(around(handler, store))
    assert [reference() for reference in alive] == [None]


async def test_messages_that_have_outlived_their_conversation_say_so() -> None:
    store = MemoryConversationStore(window=1)
    await store.set("id", {"messages": [{"content": at} for at in range(3)]})
    async with store.open("id") as conversation:
        messages = conversation.messages
        assert await messages.older(1) == [{"content": 1}]
    del conversation
    with pytest.raises(ConversationNotLoaded, match="outlived"):
        await messages.older(1)
