"""Promise: a turn that a request has taken is its own until its response has ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import closing
from typing import cast

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import (
    Conversation,
    ConversationBusy,
    ConversationStore,
    RedisConversationStore,
    TurnLost,
)
from jv_session_mw.ids import TokenSigner
from tests.backends.harness import Bytes
from tests.promises.apps import KEYS
from tests.promises.conftest import PATIENT_SECONDS, GetServer, Visit
from tests.promises.raw import Exchange, around, body, start, types
from tests.promises.serving import KINDS
from tests.promises.wire import Wire
from tests.servers import RedisServer
from tests.test_socket_turns import ACCEPT, Socket

PATIENT = f"wait={PATIENT_SECONDS}"


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    async with RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS) as store:
        await store.set("id", {})
        yield store


@pytest.mark.parametrize("kind", KINDS)
async def test_a_second_turn_is_a_409_while_a_stream_goes_on_and_follows_one_that_was_cut_off(
    shared_servers: GetServer, visit: Visit, kind: str
) -> None:
    others = KINDS[KINDS.index(kind) - 1]
    here, elsewhere = [visit(server) for server in map(shared_servers, (kind, others))]
    here.turn("append-only", "before")
    elsewhere.ticket = here.ticket
    with here.streaming("/in-turn?mark=one&wait=0&hold=true", b"day,"):
        for visitor in (here, elsewhere):
            refused = visitor.ask("POST", "/in-turn?mark=impatient&wait=0")
            assert (refused.status, refused.all("retry-after")) == (409, ["1"])
    for number, visitor in enumerate((elsewhere, here, elsewhere)):
        # Whoever has seen the end of an answer need not wait for its turn to end.
        wait = "wait=0" if number else PATIENT
        assert visitor.ask("POST", f"/in-turn?mark={number}&{wait}").status == 200
    messages = cast("list[dict[str, object]]", here.read()["messages"])
    answer = "Good day,"
    contents = ["before", "one", answer, "0", answer, "1", answer, "2", answer]
    assert [message["content"] for message in messages] == contents
    assert [at for at, message in enumerate(messages) if message.get("interrupted")] == [2]


def known() -> dict[str, str]:
    return {"X-Conversation-ID": TokenSigner(KEYS, purpose="conversation").sign("id")}


def known_socket(turns: int) -> Socket:
    socket = Socket(turns)
    socket.scope["headers"] = [(b"x-conversation-id", known()["X-Conversation-ID"].encode())]
    return socket


def overtake(server: RedisServer) -> None:
    """Let another process have had a turn meanwhile."""
    with closing(Bytes(server)) as stored:
        stored.do("SET", "conv:{id}:t", f"{2**52} elsewhere 0")


async def test_an_app_that_fails_has_ended_its_turn(store: ConversationStore) -> None:
    async def fails(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.turn()
        conversation.state["a"] = 1
        raise LookupError("a bug of the app")

    with pytest.raises(LookupError):
        await Exchange(headers=known()).run(around(fails, store))
    async with store.conversation("id").turn():
        assert await store.get("id") == {}


async def test_what_came_after_the_last_byte_is_stored_and_holds_up_nobody(
    store: ConversationStore,
) -> None:
    async def works_on(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.turn()
        await send(start())
        await send(body(b"done"))
        async with store.conversation("id").turn(wait=0):
            pass
        conversation.state["a"] = 1

    await Exchange(headers=known()).run(around(works_on, store))
    assert await store.get("id") == {"a": 1}


async def test_an_app_without_a_body_has_ended_its_turn(store: ConversationStore) -> None:
    async def ends_early(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.turn()
        conversation.state["a"] = 1
        await send(start(length=5))

    await Exchange(headers=known()).run(around(ends_early, store))
    conversation = store.conversation("id")
    async with conversation.turn():
        assert conversation.state == {"a": 1}


async def test_each_turn_of_a_socket_is_taken_anew(store: ConversationStore) -> None:
    seen: list[object] = []

    async def counts(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for _ in range(3):
            await receive()
            async with store.open("id") as other:
                await other.turn(wait=0)  # the turn before has ended
                other.state["theirs"] = other.state.get("theirs", 0) + 1
            await conversation.turn()
            seen.append(dict(conversation.state))
            conversation.state["ours"] = conversation.state.get("ours", 0) + 1
            with pytest.raises(ConversationBusy):
                await store.conversation("id").turn(wait=0)

    socket = known_socket(3)
    await socket.run(around(counts, store))
    assert seen == [{"theirs": 1}, {"theirs": 2, "ours": 1}, {"theirs": 3, "ours": 2}]
    async with store.conversation("id").turn():
        assert await store.get("id") == {"theirs": 3, "ours": 3}


async def test_a_block_of_a_socket_holds_its_turn_whatever_it_receives(
    store: ConversationStore,
) -> None:
    seen: list[object] = []

    async def asks_back(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        async with conversation.turn():
            await receive()  # such as the user's consent to what a tool is about to do
            with pytest.raises(ConversationBusy):
                await store.conversation("id").turn(wait=0)
            conversation.state["a"] = 1
        async with store.open("id") as other, other.turn(wait=0):
            seen.append(dict(other.state))

    await known_socket(2).run(around(asks_back, store))
    assert seen == [{"a": 1}]


async def test_a_socket_that_waits_too_long_is_told_to_come_again(
    store: ConversationStore,
) -> None:
    async def impatient(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        await conversation.turn(wait=0)

    socket = known_socket(1)
    async with store.conversation("id").turn():
        await socket.run(around(impatient, store))
    last: Message = socket.sent[-1]
    assert (last["type"], last["code"]) == ("websocket.close", 1013)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_turn_that_was_lost_is_a_409_or_an_answer_that_breaks_off(
    store: ConversationStore, valkey: RedisServer, begun: bool
) -> None:
    async def is_overtaken(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.turn()
        if begun:
            await send(start())
            await send(body(b"He", more=True))
        conversation.state["a"] = "late"
        overtake(valkey)
        if not begun:
            await send(start())
        await send(body(b"llo"))

    exchange = Exchange(headers=known())
    app = around(is_overtaken, store)
    if begun:
        with pytest.raises(TurnLost):
            await exchange.run(app)
        assert types(exchange) == ["start", "body"]
    else:
        assert (await exchange.run(app)).status == 409
    assert await store.get("id") == {}


async def lose_turn(conversation: Conversation, receive: Receive, server: RedisServer) -> None:
    """Take a turn for the next message, and hear at its end that a later one has begun."""
    await receive()
    await conversation.turn()
    conversation.state["a"] = "late"
    overtake(server)
    with pytest.raises(TurnLost):
        await receive()


async def test_a_socket_that_lost_a_turn_goes_on_with_the_next_one(
    store: ConversationStore, valkey: RedisServer
) -> None:
    async def goes_on(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await lose_turn(conversation, receive, valkey)
        await conversation.turn(wait=0)
        assert conversation.state == {}
        conversation.state["a"] = 1

    socket = known_socket(1)
    await socket.run(around(goes_on, store))
    assert await store.get("id") == {"a": 1}


async def test_a_request_that_is_cancelled_twice_has_ended_its_turn(valkey: RedisServer) -> None:
    begun = asyncio.Event()

    async def hangs(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.turn()
        await send(start())
        await send(body(b"He", more=True))
        conversation.state["a"] = 1
        wire.hold()
        begun.set()
        await asyncio.Event().wait()

    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS) as store,
    ):
        await store.set("id", {})
        task = asyncio.create_task(Exchange(headers=known()).run(around(hangs, store)))
        await begun.wait()
        task.cancel()
        await wire.held.wait()
        task.cancel()
        await asyncio.wait({task})
        wire.release()
        conversation = store.conversation("id")
        async with conversation.turn(wait=PATIENT_SECONDS):
            assert conversation.state == {"a": 1}


async def test_the_turn_that_a_socket_takes_after_one_it_lost_ends_before_the_client_is_waited_for(
    store: ConversationStore, valkey: RedisServer
) -> None:
    seen: list[object] = []

    async def goes_on(conversation: Conversation, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await lose_turn(conversation, receive, valkey)
        await conversation.turn(wait=0)
        conversation.state["a"] = 1
        await receive()
        async with store.open("id") as other, other.turn(wait=0):
            seen.append(dict(other.state))

    await known_socket(2).run(around(goes_on, store))
    assert seen == [{"a": 1}]
