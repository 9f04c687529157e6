"""The start of a response of known length waits for its body, and nothing is lost by that."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import (
    Conversation,
    ConversationStore,
)
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.promises.raw import Exchange, around, body, start, stored, types
from tests.servers import Servers
from tests.stores import opened

TOKEN = TokenSigner(KEYS, purpose="conversation").sign("id")
HALF = {"role": "assistant", "content": "half an answer", "interrupted": True}


@pytest.fixture
async def store(servers: Servers) -> AsyncGenerator[ConversationStore]:
    servers.get("valkey-9").ask("FLUSHALL")
    async with opened("valkey-9", servers) as store:
        yield store


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ([(b"content-length", b"2")], []),
        ([(b"x", b"y"), (b"Content-Length", b"2")], []),
        ([(b"x", b"y")], ["start"]),
        ([], ["start"]),
    ],
)
async def test_a_known_length_waits_and_an_unknown_one_does_not(
    store: ConversationStore, headers: list[tuple[bytes, bytes]], sent: list[str]
) -> None:
    seen: list[list[str]] = []
    exchange = Exchange()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send({**start(), "headers": headers})
        seen.append(types(exchange))
        await send(body(b"ok"))

    await exchange.run(around(handler, store))
    assert types(exchange) == ["start", "body"]
    assert seen == [sent]


async def test_what_changes_between_start_and_body_is_stored_before_the_body(
    store: ConversationStore,
) -> None:
    held: list[object] = []

    class Watched(Exchange):
        async def send(self, message: Message) -> None:
            held.append(await stored(store))
            await super().send(message)

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = 1
        await send(start(200, 2))
        conversation.state["mark"] = 2
        await send(body(b"ok"))

    await Watched().run(around(handler, store))
    assert held == [[{"mark": 2}], [{"mark": 2}]]


async def test_an_app_that_ends_after_the_start_alone_is_let_through(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await send(start(200, 0))

    exchange = await Exchange(method="HEAD").run(around(handler, store))
    assert types(exchange) == ["start"]
    assert await stored(store) == [{"mark": "kept"}]


async def test_an_answer_in_pieces_needs_no_headers(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 404})
        await send(body(b"not ", more=True))
        await send(body(b"here"))

    exchange = await Exchange().run(around(handler, store))
    assert (exchange.status, exchange.body) == (404, b"not here")


@pytest.mark.parametrize("status", [204, 304, 303, 404])
async def test_an_answer_without_a_body_goes_out_whole(
    store: ConversationStore, status: int
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send(body())

    exchange = await Exchange().run(around(handler, store))
    assert (types(exchange), exchange.status) == (["start", "body"], status)
    assert await stored(store) == [{"mark": "kept"}]


async def test_headers_that_can_be_read_only_once_arrive(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        headers = ([name, b"here"] for name in (b"x-one", b"x-two"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(body())

    exchange = await Exchange().run(around(handler, store))
    sent = {name: value for name, value in exchange.sent[0]["headers"]}  # noqa: C416 - lists too
    assert (sent[b"x-one"], sent[b"x-two"]) == (b"here", b"here")
    assert exchange.token


async def test_a_hang_up_while_an_app_without_a_body_ends_loses_nothing(
    store: ConversationStore,
) -> None:
    await store.set("id", {"mark": "before"})
    returned = asyncio.Event()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await send(start(200, 0))
        returned.set()

    exchange = Exchange("HEAD", headers={"X-Conversation-ID": TOKEN})
    request = asyncio.create_task(exchange.run(around(handler, store)))
    await returned.wait()
    request.cancel()
    await asyncio.wait({request})
    assert await store.get("id") == {"mark": "kept"}


async def test_a_client_that_has_gone_as_an_app_without_a_body_ends_loses_no_reply(
    store: ConversationStore,
) -> None:
    class Gone(Exchange):
        async def send(self, message: Message) -> None:
            raise OSError("the client has gone")

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.reply().write("half an answer")
        await send(start(200, 0))

    with pytest.raises(OSError, match="gone"):
        await Gone("HEAD").run(around(handler, store))
    (whole,) = await stored(store)
    assert whole == {"messages": [HALF]}


@pytest.mark.parametrize("way", ["raise", "cancel"])
async def test_what_breaks_off_between_start_and_body_is_kept_unless_the_client_hears_of_it(
    store: ConversationStore, way: str
) -> None:
    reached = asyncio.Event()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await send(start(200, 2))
        reached.set()
        if way == "raise":
            raise LookupError
        await asyncio.Event().wait()

    exchange = Exchange()
    request = asyncio.create_task(exchange.run(around(handler, store)))
    await reached.wait()
    if way == "cancel":
        request.cancel()
    with pytest.raises((LookupError, asyncio.CancelledError)):
        await request
    assert exchange.sent == []
    assert await stored(store) == ([{"mark": "kept"}] if way == "cancel" else [])


@pytest.mark.parametrize("length", [None, 6])
async def test_a_start_whose_commit_was_given_up_goes_out_with_the_body(
    store: ConversationStore, length: int | None
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        first = start(length=length) if length is None else body(b"one", more=True)
        if length is not None:
            await send(start(length=length))
        sending = asyncio.ensure_future(send(first))
        await asyncio.sleep(0)
        sending.cancel()  # as a time-out of the app
        await asyncio.wait({sending})
        assert exchange.sent == []
        await send(body(b"one", more=True))
        await send(body(b"two"))

    exchange = Exchange()
    await exchange.run(around(handler, store))
    assert types(exchange) == ["start", "body", "body"]
    assert await stored(store) == [{"mark": "kept"}]


@pytest.mark.parametrize("steps", range(40))
async def test_a_turn_that_is_cancelled_at_any_moment_is_stored_once_or_not_at_all(
    store: ConversationStore, steps: int
) -> None:
    await store.set("id", {"step": 0, "messages": [{"content": "first"}]})
    answered = False

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        nonlocal answered
        conversation.messages.append({"content": "turn"})
        conversation.state["step"] += 1
        answered = True
        await send(start())
        await send(body(b"ok"))

    exchange = Exchange(headers={"X-Conversation-ID": TOKEN})
    request = asyncio.create_task(exchange.run(around(handler, store)))
    for _ in range(steps):
        await asyncio.sleep(0)
    request.cancel()
    await asyncio.wait({request})
    whole = await store.get("id")
    assert whole is not None
    assert whole["step"] == len(whole["messages"]) - 1
    assert whole["step"] in (0, 1)
    if exchange.sent:
        assert answered
        assert whole["step"] == 1
