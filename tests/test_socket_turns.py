"""The turns of a WebSocket, each with its own commit and its own failure."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import (
    Conversation,
    ConversationConflict,
    MemoryConversationStore,
    RedisConversationStore,
    UnsupportedValue,
)
from jv_session_mw.exchange import DRAIN_EVERY
from tests.promises.raw import Exchange, Handler, around
from tests.promises.raw import stored as stored_in
from tests.promises.serving import eventually
from tests.servers import RedisServer

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


@pytest.mark.parametrize("receives_again", [True, False])
async def test_a_bug_after_a_conflict_that_the_app_has_dealt_with_is_its_own(
    receives_again: bool,
) -> None:
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
        if receives_again:
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


@pytest.mark.parametrize("way", ["checkpoint", "sigterm"])
async def test_an_answer_beside_a_receive_that_waits_is_stored_on_its_way(way: str) -> None:
    """A task waits for a "stop" or the next message while another one writes the answer."""
    store = MemoryConversationStore()
    stored: list[object] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        conversation.reply().write("half")
        if way == "sigterm":
            store.inflight.terminating()
        await eventually(lambda: conversation.version == 1)
        stored.append(await store.get(conversation.id))
        waiting.cancel()

    options = {"checkpoint_seconds": 0.01} if way == "checkpoint" else {}
    await Socket(1).run(around(handler, store, **options))
    half = {"role": "assistant", "content": "half", "interrupted": True}
    assert stored == [{"messages": [half]}]


async def test_what_is_changed_after_the_end_of_a_socket_is_nobodys() -> None:
    store = MemoryConversationStore()
    held: list[Conversation] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        held.append(conversation)
        await receive()
        await send(ACCEPT)
        await receive()
        conversation.state["a"] = 1
        store.inflight.terminating()
        await asyncio.sleep(0)

    await run(handler, store, turns=1)
    held[0].state["a"] = 2
    await asyncio.sleep(2 * DRAIN_EVERY)
    assert await stored_in(store) == [{"a": 1}]


async def test_what_follows_a_receive_that_was_given_up_is_stored_by_the_next() -> None:
    """An app that looks for a "stop" between two tokens, and then waits for the next message."""
    store = MemoryConversationStore()
    stored: list[object] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await receive()
        conversation.state["a"] = 1
        waiting = asyncio.ensure_future(receive())
        await eventually(lambda: conversation.version == 1)
        stored.append(await store.get(conversation.id))
        waiting.cancel()

    await run(handler, store, turns=1)
    assert stored == [{"a": 1}]


async def test_a_value_that_was_refused_does_not_keep_the_next_message_away() -> None:
    store = MemoryConversationStore()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        conversation.state["bad"] = object()
        with pytest.raises(UnsupportedValue):
            await receive()
        assert await receive() == TURN
        del conversation.state["bad"]
        conversation.state["a"] = 1
        await send({"type": "websocket.close"})

    await run(handler, store, turns=2)
    assert await stored_in(store) == [{"a": 1}]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_socket_is_closed_after_its_last_change_is_stored(turns: int) -> None:
    store = MemoryConversationStore()
    seen: list[object] = []

    class Watched(Socket):
        async def send(self, message: Message) -> None:
            if message["type"] == "websocket.close":
                seen.extend(await stored_in(store))
            await super().send(message)

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for _ in range(turns):
            await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        conversation.state["a"] = 1
        await send({"type": "websocket.close"})
        waiting.cancel()

    await Watched(turns).run(around(handler, store))
    assert seen == [{"a": 1}]


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_store_that_is_away_in_the_handlers_own_save_closes_with_1013(
    own_valkey: RedisServer, grouped: bool
) -> None:
    async with RedisConversationStore(url=own_valkey.url, fallback=None, deadline=0.3) as store:

        async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            await receive()
            conversation.state["a"] = 1
            own_valkey.kill()
            if not grouped:
                await conversation.save()
            async with asyncio.TaskGroup() as group:
                group.create_task(conversation.save())

        socket = await Socket(1).run(around(handler, store))
    assert socket.sent[-1]["code"] == 1013


async def test_headers_of_a_socket_that_can_be_read_only_once_arrive() -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        headers = iter([(b"cache-control", b"private")])
        await send({"type": "websocket.accept", "headers": headers})
        await send({"type": "websocket.close", "code": 1000})

    exchange = Exchange()
    exchange.scope["type"] = "websocket"
    await exchange.run(around(handler, MemoryConversationStore()))
    assert exchange.all("cache-control") == ["private"]
    assert exchange.token


async def test_a_handshake_that_fails_leaves_no_conversation() -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["a"] = 1
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    store = MemoryConversationStore()
    sent = await run(handler, store, turns=0)
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert await store.size() == 0
