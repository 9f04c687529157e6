"""Promise: what was deleted stays deleted, whatever was under way."""

import asyncio

import pytest

from jv_session_mw import ConversationStore
from tests.promises.apps import changed
from tests.promises.clients import COOKIE, WAYS, AsyncVisitor, Way
from tests.promises.conftest import GetServer, Visit
from tests.promises.database import Database
from tests.promises.serving import KINDS, serving
from tests.promises.slow_app import Pause, slow_app

EMPTY = changed([])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "path", ["/slow?at=slow&field=mark", "/slow?at=slow", "/slow-stream?mark=x"]
)
async def test_a_slow_request_cannot_bring_back_what_was_deleted_meanwhile(
    store: ConversationStore, database: Database, path: str, way: Way
) -> None:
    pauses = {"slow": Pause(), "stream": Pause()}
    async with serving(slow_app(store, pauses)) as url, AsyncVisitor.at(url, way) as visitor:
        await visitor.turn("endpoint", "before")
        old = visitor.twin()
        slow = asyncio.create_task(visitor.twin().ask("POST", path))
        pause = pauses["stream" if "stream" in path else "slow"]
        await pause.arrived.wait()
        assert (await visitor.ask("DELETE", "/conversation")).status == 200
        pause.go.set()
        assert (await slow).status == 200
        assert await old.read() == EMPTY
        assert await store.size() == 0
        assert [name.rpartition(":")[2] for name in database.names()] == ["d"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ends", [("POST", "/rotate"), ("DELETE", "/conversation")])
async def test_a_slow_request_takes_from_nobody_the_token_of_what_came_after(
    store: ConversationStore, database: Database, ends: tuple[str, str], way: Way
) -> None:
    pauses = {"slow": Pause()}
    async with serving(slow_app(store, pauses)) as url, AsyncVisitor.at(url, way) as visitor:
        await visitor.turn("endpoint", "before")
        slow = asyncio.create_task(visitor.twin().ask("POST", "/slow?at=slow&field=mark"))
        await pauses["slow"].arrived.wait()
        await visitor.ask(*ends)
        await visitor.turn("endpoint", "after")
        pauses["slow"].go.set()
        answer = await slow
        assert answer.status == 200
        assert answer.all("set-cookie") == answer.all("x-conversation-id") == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_deleting_response_expires_the_cookie(
    shared_servers: GetServer, visit: Visit, database: Database, kind: str
) -> None:
    visitor = visit(shared_servers(kind))
    visitor.turn("endpoint", "before")
    (cookie,) = visitor.ask("DELETE", "/conversation").all("set-cookie")
    assert cookie.startswith(f"{COOKIE}=;")
    assert {"Max-Age=0", "Path=/", "Secure"} <= {part.strip() for part in cookie.split(";")}
    assert visitor.ticket.token is None


@pytest.mark.parametrize("way", WAYS)
def test_the_old_token_gives_a_new_empty_conversation_with_another_id(
    shared_servers: GetServer, visit: Visit, database: Database, way: Way
) -> None:
    server = shared_servers("uvicorn-httptools")
    visitor = visit(server, way)
    visitor.turn("endpoint", "before")
    old = visitor.ticket.token
    before = visitor.ask("GET", "/about").fields
    visitor.ask("DELETE", "/conversation")
    visitor.ticket.token = old
    assert visitor.read() == EMPTY
    visitor.ticket.token = old
    visitor.turn("endpoint", "after")
    assert visitor.ticket.token != old
    after = visitor.ask("GET", "/about").fields
    assert after["id"] != before["id"]
    assert visitor.read() == changed(["after"])


def test_a_conversation_that_expired_is_not_brought_back_by_a_request_in_flight(
    shared_servers: GetServer, visit: Visit, database: Database
) -> None:
    visitor = visit(shared_servers("uvicorn-httptools"))
    visitor.turn("endpoint", "before")
    with visitor.socket() as websocket:
        websocket.send("one")
        websocket.recv()
        websocket.send("read")
        websocket.recv()
        database.do("DEL", *database.names())
        websocket.send("two")
        websocket.recv()
    assert visitor.read() == EMPTY
    assert database.names() == []


@pytest.mark.parametrize("way", WAYS)
def test_after_a_rotation_the_old_token_leads_nowhere(
    shared_servers: GetServer, visit: Visit, database: Database, way: Way
) -> None:
    server = shared_servers("uvicorn-httptools")
    visitor, thief = visit(server, way), visit(server, way)
    visitor.turn("endpoint", "before")
    thief.ticket.token = visitor.ticket.token
    visitor.ask("POST", "/rotate")
    assert visitor.ticket.token != thief.ticket.token
    assert visitor.read() == changed(["before"])
    assert thief.read() == EMPTY
