"""Promise: a visitor who stores nothing costs nothing: no id, no store call, no key."""

import pytest

from jv_session_mw import ConversationStore
from tests.promises.apps import fastapi_app
from tests.promises.clients import COOKIE, HEADER, AsyncVisitor, Visitor
from tests.promises.conftest import GetServer, Visit
from tests.promises.database import Database
from tests.promises.recording import Recorder
from tests.promises.serving import KINDS, serving


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_visitors_who_are_only_read_for_cost_nothing(
    shared_servers: GetServer, visit: Visit, database: Database, kind: str
) -> None:
    server = shared_servers(kind)
    visit(server).read()
    before = database.commands()
    visitor = visit(server)
    for _ in range(1000 if kind == "uvicorn-httptools" else 100):
        answer = visitor.ask("GET", "/read")
        assert visitor.ticket.token is None
        assert not answer.all("set-cookie")
        assert not answer.all(HEADER.lower())
    assert database.commands() == before + 1  # our own INFO
    assert database.names() == []


async def test_a_visitor_who_is_only_read_for_makes_no_span(
    store: ConversationStore, recorder: Recorder
) -> None:
    async with serving(fastapi_app(store)) as url, AsyncVisitor.at(url) as visitor:
        await visitor.read()
        assert recorder.ours() == []
        await visitor.turn("endpoint", "now")
        assert [span.name for span in recorder.ours()] == ["conversation.save"]


@pytest.mark.parametrize(
    "token",
    [
        "made-up",
        "",
        "null",
        "../../etc/passwd",
        "AAAAAAAAAAAAAAAAAAAAAA.aaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "*" * 600,
        "x" * 20_000,
    ],
)
def test_a_token_that_was_not_issued_here_is_no_store_call(
    shared_servers: GetServer, visit: Visit, database: Database, token: str
) -> None:
    server = shared_servers("uvicorn-h11")
    visit(server).read()
    before = database.commands()
    for way in ("cookie", "header"):
        visitor = visit(server, way)
        visitor.ticket.token = token
        assert visitor.read() == {"state": {}, "messages": []}
    assert database.commands() == before + 1
    assert database.names() == []


def issued(visitor: Visitor) -> str:
    visitor.turn("endpoint", "mine")
    assert visitor.ticket.token is not None
    return visitor.ticket.token


def test_an_altered_token_reaches_nobodys_conversation(
    shared_servers: GetServer, visit: Visit, database: Database
) -> None:
    server = shared_servers("uvicorn-h11")
    token = issued(visit(server, "header"))
    id, rest = token.split(".", 1)
    stranger = visit(server, "header")
    for altered in (f"{id[::-1]}.{rest}", f"{id}.{rest[:-4]}", f"{id}", f"{id}..{rest}"):
        stranger.ticket.token = altered
        assert stranger.read() == {"state": {}, "messages": []}


def test_the_cookie_is_bound_to_this_host_and_hidden_from_scripts(
    shared_servers: GetServer, visit: Visit, database: Database
) -> None:
    answer = visit(shared_servers("uvicorn-h11")).turn("endpoint", "now")
    (cookie,) = answer.all("set-cookie")
    name, *attributes = (part.strip() for part in cookie.split(";"))
    assert name.startswith(f"{COOKIE}=")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_is_handed_out_once_and_not_again(
    shared_servers: GetServer, visit: Visit, database: Database, kind: str
) -> None:
    visitor = visit(shared_servers(kind))
    first = visitor.turn("endpoint", "one")
    assert len(first.all("set-cookie")) == 1
    assert first.all("cache-control") == ["no-store"]
    assert not visitor.turn("stream", "two").all("set-cookie")
    assert not visitor.ask("GET", "/read").all("set-cookie")
