"""Bodies of a known length that come in pieces: streams of a conversation, or files and pages."""

from collections.abc import AsyncGenerator

import pytest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from jv_session_mw import (
    Conversation,
    ConversationMiddleware,
    ConversationStore,
    get_conversation,
)
from tests.promises.apps import KEYS
from tests.promises.raw import Exchange, around, body, start, stored, types
from tests.servers import Servers
from tests.stores import opened


@pytest.fixture
async def store(servers: Servers) -> AsyncGenerator[ConversationStore]:
    servers.get("valkey-9").ask("FLUSHALL")
    async with opened("valkey-9", servers) as store:
        yield store


async def test_a_known_length_in_several_pieces_is_committed_before_the_last(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        assert not conversation.state
        await send(start(200, 4))
        await send(body(b"ab", more=True))
        conversation.state["mark"] = "between"
        await send(body(b"cd"))
        assert conversation.version == 1

    exchange = await Exchange().run(around(handler, store))
    assert exchange.body == b"abcd"
    assert types(exchange) == ["start", "body", "body"]


@pytest.mark.parametrize("status", [200, 404])
async def test_what_pieces_change_is_stored_if_the_visitor_has_its_token(
    store: ConversationStore, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        assert not conversation.messages  # as for a prompt
        await send(start(status, 4))
        await send(body(b"ab", more=True))
        conversation.messages.append({"content": "between"})
        await send(body(b"cd"))

    exchange = await Exchange().run(around(handler, store))
    assert exchange.body == b"abcd"
    if status == 200:
        assert exchange.token
        assert await stored(store) == [{"messages": [{"content": "between"}]}]
        return
    assert exchange.token is None
    assert await stored(store) == []
    assert "without its token" in caplog.text


async def test_a_file_in_pieces_costs_a_visitor_no_token_and_a_cache_nothing(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start(200, 4))
        await send(body(b"ab", more=True))
        await send(body(b"cd"))

    exchange = await Exchange().run(around(handler, store))
    assert exchange.body == b"abcd"
    assert exchange.sent[0]["headers"] == [(b"content-length", b"4")]


async def test_who_only_reads_gets_no_token_though_a_middleware_adds_an_empty_piece(
    store: ConversationStore,
) -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        count = len(get_conversation(scope).messages)
        await PlainTextResponse(str(count))(scope, receive, send)

    async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    app = ConversationMiddleware(BaseHTTPMiddleware(page, pass_on), store=store, secret_keys=KEYS)
    exchange = await Exchange().run(app)
    assert (exchange.body, types(exchange)) == (b"0", ["start", "body", "body"])
    assert exchange.token is None


@pytest.mark.parametrize("length", [None, 4])
async def test_what_comes_before_the_trailers_is_stored_before_they_leave(
    store: ConversationStore, length: int | None
) -> None:
    seen: list[object] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        assert not conversation.state
        await send({**start(length=length), "trailers": True})
        await send(body(b"body"))
        conversation.state["mark"] = "kept"
        await send({"type": "http.response.trailers", "headers": []})

    class Looking(Exchange):
        async def send(self, message: Message) -> None:
            if message["type"] == "http.response.trailers":
                seen.extend(await stored(store))
            await super().send(message)

    await Looking().run(around(handler, store))
    assert seen == [{"mark": "kept"}]
