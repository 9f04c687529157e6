"""Promise: a request never spends more than the deadline on Redis, and `fallback=None` says so."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from starlette.types import Message, Receive, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from jv_session_mw import (
    Conversation,
    ConversationMiddleware,
    RedisConversationStore,
    StoreUnavailable,
)
from tests.promises.apps import KEYS, chat, fastapi_app
from tests.promises.clients import AsyncVisitor
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange, around, body, start
from tests.promises.recording import Recorder
from tests.promises.serving import serving
from tests.servers import RedisServer

DEADLINE = 0.3
SLACK = 2.0  # for a busy machine; a request without a deadline takes a minute


def seconds(spans: list[ReadableSpan]) -> float:
    return sum((span.end_time or 0) - (span.start_time or 0) for span in spans) / 1e9


@pytest.mark.parametrize("fallback", ["memory", None])
async def test_no_request_spends_more_than_the_deadline_in_the_store(
    own_valkey: RedisServer, recorder: Recorder, fallback: str | None
) -> None:
    store = RedisConversationStore(
        url=own_valkey.url,
        fallback="memory" if fallback else None,
        deadline=DEADLINE,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )
    async with serving(fastapi_app(store)) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "one")
        reader = visitor.stranger()
        await reader.turn("endpoint", "mine")
        own_valkey.freeze()
        for turn in range(8):
            recorder.forget()
            await visitor.ask("POST", f"/stream?mark={turn}")
            assert seconds(recorder.ours()) < DEADLINE + SLACK
            recorder.forget()
            await reader.ask("GET", "/read")
            assert seconds(recorder.ours()) < DEADLINE + SLACK
        recorder.forget()
        await asyncio.gather(*(reader.twin().ask("GET", "/read") for _ in range(50)))
        # The breaker is open by now: nobody waits for a reply any more.
        assert len(recorder.ours()) == 50
        reasons = [
            (span.attributes or {}).get("jv_session.fallback.reason") for span in recorder.ours()
        ]
        assert set(reasons) == ({"breaker_open"} if fallback else {None})
        own_valkey.thaw()


def without_fallback(redis: RedisServer) -> RedisConversationStore:
    return RedisConversationStore(url=redis.url, fallback=None, deadline=DEADLINE)


@pytest.fixture
async def url(own_valkey: RedisServer) -> AsyncGenerator[str]:
    """The address of an app whose store has no fallback."""
    async with serving(fastapi_app(without_fallback(own_valkey))) as url:
        yield url


@pytest.fixture
async def visitor(url: str) -> AsyncGenerator[AsyncVisitor]:
    async with AsyncVisitor.at(url) as visitor:
        yield visitor


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_without_a_fallback_the_answer_is_503_and_says_when_to_try_again(
    own_valkey: RedisServer, visitor: AsyncVisitor, how: str
) -> None:
    await visitor.turn("endpoint", "one")
    token = visitor.ticket.token
    (own_valkey.kill if how == "killed" else own_valkey.freeze)()
    for method, path in (("GET", "/read"), ("POST", "/endpoint?mark=two")) * 4:
        answer = await visitor.ask(method, path)
        assert answer.status == 503
        assert int(answer.all("retry-after")[0]) >= 1
        assert not answer.all("set-cookie")
        assert answer.all("content-type") == ["application/problem+json"]
    assert visitor.ticket.token == token
    if how == "frozen":
        own_valkey.thaw()


async def test_without_a_fallback_a_turn_that_cannot_be_stored_is_503_and_not_a_lie(
    own_valkey: RedisServer, visitor: AsyncVisitor
) -> None:
    """A new visitor loads nothing, so that Redis is found to be away only by the commit."""
    own_valkey.kill()
    answer = await visitor.ask("POST", "/endpoint?mark=lost")
    assert answer.status == 503
    assert visitor.ticket.token is None


async def test_without_a_fallback_a_visitor_who_is_only_read_for_is_served(
    own_valkey: RedisServer, visitor: AsyncVisitor
) -> None:
    own_valkey.kill()
    assert await visitor.read() == {"state": {}, "messages": []}


async def test_without_a_fallback_the_end_of_a_stream_that_is_not_stored_is_not_sent(
    own_valkey: RedisServer,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        conversation.state["mark"] = "lost"
        own_valkey.kill()
        await send(body(b"last"))

    exchange = Exchange()
    async with without_fallback(own_valkey) as store:
        with pytest.raises(StoreUnavailable):
            await exchange.run(around(handler, store))
    assert exchange.body == b"first"


async def test_without_a_fallback_a_websocket_is_refused_before_it_opens(
    own_valkey: RedisServer, url: str, visitor: AsyncVisitor
) -> None:
    await visitor.turn("endpoint", "one")
    own_valkey.kill()
    address = url.replace("http", "ws") + "/socket"
    with pytest.raises(InvalidStatus) as refused:
        await connect(address, additional_headers=visitor.ticket.headers, proxy=None)
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) >= 1


async def test_without_a_fallback_an_open_websocket_is_closed_with_1013(
    own_valkey: RedisServer, url: str, visitor: AsyncVisitor
) -> None:
    await visitor.turn("endpoint", "one")
    address = url.replace("http", "ws") + "/socket"
    async with connect(address, additional_headers=visitor.ticket.headers, proxy=None) as websocket:
        await websocket.send("two")
        await websocket.recv()
        own_valkey.kill()
        await websocket.send("three")
        async with asyncio.timeout(PATIENT_SECONDS):
            await websocket.wait_closed()
        assert websocket.close_code == 1013


async def test_without_the_denial_extension_a_websocket_is_closed_with_1013(
    own_valkey: RedisServer,
) -> None:
    store = without_fallback(own_valkey)
    async with serving(fastapi_app(store)) as url, AsyncVisitor.at(url, "header") as visitor:
        await visitor.turn("endpoint", "one")
    own_valkey.kill()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    headers = [(name.encode(), value.encode()) for name, value in visitor.ticket.headers.items()]
    scope = {"type": "websocket", "path": "/socket", "headers": headers}
    middleware = ConversationMiddleware(chat(), store=store, secret_keys=KEYS)
    await middleware(scope, receive, send)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1013)]
    await store.close()
