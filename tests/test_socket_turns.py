"""The turns of a WebSocket, each with its own commit and its own failure."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import Conversation, ConversationConflict, MemoryConversationStore
from jv_session_mw.exchange import DRAIN_EVERY
from tests.promises.raw import Exchange, Handler, around

CONNECT: Message = {"type": "websocket.connect"}
ACCEPT: Message = {"type": "websocket.accept"}
TURN: Message = {"type": "websocket.receive", "text": "?"}


class Socket(Exchange):
    """A WebSocket whose client sends *turns*, and then is silent."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.scope["type"] = "websocket"
        self._coming: Iterable[Message] = iter([CONNECT, *[TURN] * turns])

    async def receive(self) -> Message:
        for message in self._coming:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def run(handler: Handler, store: MemoryConversationStore, *, turns: int) -> list[Message]:
    socket = await Socket(turns).run(around(handler, store))
    return socket.sent


async def test_a_bug_after_a_conflict_that_the_app_has_dealt_with_is_its_own() -> None:
    store = MemoryConversationStore(on_conflict="reject")

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        conversation.state["a"] = 1
        await conversation.save()
        async with store.open(conversation.id) as other:
            other.state["a"] = 2
        conversation.state["a"] = 3
        with pytest.raises(ConversationConflict):
            await receive()
        await conversation.reload()
        await receive()
        raise LookupError("a bug of the app")

    with pytest.raises(LookupError):
        await run(handler, store, turns=2)


async def test_a_turn_whose_commit_was_given_up_is_committed_by_the_next_receive() -> None:
    store = MemoryConversationStore()
    stored: list[object] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        async def receive_in_vain() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await receive()

        await receive()
        await send(ACCEPT)
        await receive()
        conversation.state["a"] = 1
        async with conversation._commits.lock:  # pyright: ignore[reportPrivateUsage]
            await receive_in_vain()  # as if another commit took its time
        await receive_in_vain()
        stored.append(await store.get(conversation.id))

    await run(handler, store, turns=1)
    assert stored == [{"a": 1}]


async def test_a_turn_that_ends_while_the_process_is_to_end_leaves_no_checkpoints_behind() -> None:
    store = MemoryConversationStore()
    versions: list[int] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        conversation.state["a"] = 1
        async with conversation._commits.lock:  # pyright: ignore[reportPrivateUsage]
            ending = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            store.inflight.terminating()
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        conversation.state["a"] = 2  # between two turns
        await asyncio.sleep(2 * DRAIN_EVERY)
        versions.append(conversation.version)
        ending.cancel()

    await run(handler, store, turns=1)
    assert versions == [1]
