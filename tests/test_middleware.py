"""The middleware in every place of a stack, beside others, and what it must not touch."""

import gzip
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from jv_session_mw import (
    Conversation,
    ConversationMiddleware,
    ConversationNotLoaded,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
    UnsupportedValue,
    get_conversation,
)
from tests.promises.apps import changed, chat
from tests.promises.clients import AsyncVisitor
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.database import Database
from tests.promises.other_apps import starlette_chat
from tests.promises.raw import Exchange
from tests.promises.stacks import ours, visiting
from tests.servers import RedisServer

Next = Callable[[Request], Awaitable[Response]]


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    async with RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS) as store:
        yield store


@pytest.fixture
def database(valkey: RedisServer) -> Generator[Database]:
    found = Database(valkey.url)
    yield found
    found.close()


@pytest.mark.parametrize("place", ["endpoint", "background"])
async def test_a_starlette_app_has_it_in_its_request_state(
    store: ConversationStore, place: str
) -> None:
    visitor = visiting(ours(starlette_chat(), store))
    await visitor.turn(place, "one")
    assert await visitor.read() == changed(["one"])


async def test_a_compressed_response_is_whole(store: ConversationStore) -> None:
    app = GZipMiddleware(ours(chat(), store), minimum_size=1)
    exchange = Exchange("POST", "/stream", {"Accept-Encoding": "gzip"})
    exchange.scope["query_string"] = b"mark=one"
    await exchange.run(app)
    assert exchange.all("content-encoding") == ["gzip"]
    assert gzip.decompress(exchange.body) == b"first,last."
    assert exchange.token is not None


async def test_a_preflight_request_touches_nothing(
    store: ConversationStore, database: Database
) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await Response()(scope, receive, send)

    known = visiting(ours(chat(), store))
    await known.turn("endpoint", "one")
    database.forget()
    exchange = await Exchange("OPTIONS", "/", known.ticket.headers).run(ours(app, store))
    assert "conversation" not in seen[0].get("state", {})
    assert exchange.all("set-cookie") == []
    assert database.scripts() == 0


async def test_a_head_request_reads_like_a_get(store: ConversationStore) -> None:
    async def page(request: Request) -> Response:
        conversation = get_conversation(request)
        return JSONResponse(conversation.state, headers={"X-Mark": conversation.state["mark"]})

    app = Starlette(routes=[Route("/", page), *starlette_chat().routes])
    visitor = visiting(ours(app, store))
    await visitor.turn("endpoint", "one")
    answer = await visitor.ask("HEAD", "/")
    assert (answer.status, answer.body, answer.all("x-mark")) == (200, b"", ["one"])


async def test_requests_that_share_one_state_have_a_conversation_each() -> None:
    """As under asgi-lifespan, which gives one dict to all of them."""
    store = MemoryConversationStore()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        conversation.messages.append({"role": "user", "content": "hello"})
        await JSONResponse(len(conversation.messages))(scope, receive, send)

    wrapped, shared = ours(app, store), dict[str, object]()
    for _ in range(2):
        exchange = Exchange()
        exchange.scope["state"] = shared
        await exchange.run(wrapped)
        assert exchange.body == b"1"
        assert exchange.token
    assert await store.size() == 2


@pytest.mark.parametrize("owner", [7, b"ada"])
async def test_an_owner_that_is_no_string_is_said_to_be_none(owner: object) -> None:
    def owner_of(scope: Scope) -> object:
        return owner

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        get_conversation(scope).state["mark"] = "one"
        await JSONResponse({})(scope, receive, send)

    with pytest.raises(UnsupportedValue, match="the owner cannot be stored"):
        await Exchange().run(ours(app, MemoryConversationStore(), owner=owner_of))


async def test_an_unknown_kind_of_scope_passes_through(store: ConversationStore) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    exchange = Exchange()
    exchange.scope["type"] = "webtransport"
    await exchange.run(ours(app, store))
    assert seen == ["webtransport"]


async def test_an_app_that_replaces_the_scope_state_loses_nothing(
    store: ConversationStore,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation: Conversation = scope["state"]["conversation"]
        scope["state"] = {}
        conversation.state["mark"] = "kept"
        await Response()(scope, receive, send)

    await Exchange().run(ours(app, store))
    (id,) = await store.keys()
    assert await store.get(id) == {"mark": "kept"}


async def test_the_state_of_the_lifespan_is_kept_beside_the_conversation(
    store: ConversationStore,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(sorted(scope["state"]))(scope, receive, send)

    exchange = Exchange()
    exchange.scope["state"] = {"model": "loaded"}
    await exchange.run(ours(app, store))
    assert exchange.body == b'["conversation","model"]'


async def test_a_lazy_conversation_costs_nothing_until_it_is_asked_for(
    store: ConversationStore, database: Database
) -> None:
    async def untouched(scope: Scope, receive: Receive, send: Send) -> None:
        conversation: Conversation = scope["state"]["conversation"]
        with pytest.raises(ConversationNotLoaded, match="load"):
            _ = conversation.state
        await Response()(scope, receive, send)

    visitor = visiting(ours(chat(), store))
    await visitor.turn("endpoint", "one")
    database.forget()
    lazy = ours(untouched, store, load="lazy")
    await Exchange(headers=visitor.ticket.headers).run(lazy)
    assert database.scripts() == 0


@pytest.mark.parametrize("place", ["endpoint", "stream", "background"])
async def test_a_lazy_conversation_is_loaded_by_the_dependency(
    store: ConversationStore, place: str
) -> None:
    visitor = visiting(ours(chat(), store, load="lazy"))
    await visitor.turn(place, "one")
    await visitor.turn(place, "two")
    assert await visitor.read() == changed(["one", "two"])


async def test_conversations_of_different_owners_never_meet(store: ConversationStore) -> None:
    def owner(scope: Scope) -> str | None:
        found = dict(scope["headers"]).get(b"x-user")
        return found.decode() if found else None

    app = ours(chat(), store, owner=owner)
    transport = httpx.ASGITransport(app)

    def client(name: str) -> AsyncVisitor:
        headers = {"X-User": name}
        return AsyncVisitor(
            httpx.AsyncClient(transport=transport, base_url="https://test", headers=headers)
        )

    ada, eve = client("ada"), client("eve")
    await ada.turn("endpoint", "private")
    eve.ticket.token = ada.ticket.token
    assert await eve.read() == changed([])
    await eve.turn("endpoint", "mine")
    assert await ada.read() == changed(["private"])
    assert len(await store.keys(owner="ada")) == len(await store.keys(owner="eve")) == 1
    assert await store.keys() == []


async def test_a_token_of_a_retired_key_is_a_miss_and_one_of_an_old_key_is_replaced(
    store: ConversationStore,
) -> None:
    def app(*keys: str) -> ConversationMiddleware:
        return ConversationMiddleware(chat(), store=store, secret_keys=keys)

    visitor = visiting(app("old-key-" * 4))
    await visitor.turn("endpoint", "one")
    rotating = visiting(app("new-key-" * 4, "old-key-" * 4))
    rotating.ticket.token = visitor.ticket.token
    answer = await rotating.ask("GET", "/read")
    assert answer.json == changed(["one"])
    assert len(answer.all("set-cookie")) == 1
    after = visiting(app("new-key-" * 4))
    after.ticket.token = rotating.ticket.token
    assert await after.read() == changed(["one"])
    after.ticket.token = visitor.ticket.token
    assert await after.read() == changed([])


async def test_the_header_wins_over_the_cookie_and_they_are_never_merged(
    store: ConversationStore,
) -> None:
    app = ours(chat(), store)
    one, two = visiting(app, "cookie"), visiting(app, "header")
    await one.turn("endpoint", "by cookie")
    await two.turn("endpoint", "by header")
    headers = one.ticket.headers | two.ticket.headers
    exchange = await Exchange("GET", "/read", headers).run(app)
    assert b"by header" in exchange.body
    assert b"by cookie" not in exchange.body


async def test_without_tls_a_real_cookie_jar_keeps_the_conversation(
    store: ConversationStore,
) -> None:
    transport = httpx.ASGITransport(ours(chat(), store, secure=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as browser:
        await browser.post("/endpoint?mark=one")
        await browser.post("/stream?mark=two")
        assert set(browser.cookies) == {"conversation"}
        assert (await browser.get("/read")).json() == changed(["one", "two"])


async def test_with_tls_a_real_cookie_jar_keeps_the_conversation(store: ConversationStore) -> None:
    transport = httpx.ASGITransport(ours(chat(), store))
    async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as browser:
        await browser.post("/endpoint?mark=one")
        assert set(browser.cookies) == {"__Host-conversation"}
        assert (await browser.get("/read")).json() == changed(["one"])
        await browser.delete("/conversation")
        assert set(browser.cookies) == set()
