"""Promise: the last byte leaves only after the commit, so the next request sees it."""

import asyncio

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import Conversation, RedisConversationStore
from tests.promises.conftest import PATIENT_SECONDS, GetServer, Visit
from tests.promises.raw import Exchange, around, body, start, types
from tests.promises.serving import KINDS
from tests.promises.wire import Wire
from tests.servers import RedisServer

TURNS = 1000


@pytest.mark.parametrize("path", ["/count", "/count-stream"])
def test_a_thousand_turns_on_one_connection_each_see_the_one_before(
    shared_servers: GetServer, visit: Visit, valkey: RedisServer, path: str
) -> None:
    visitor = visit(shared_servers("uvicorn-httptools"))
    counts = [int(visitor.ask("POST", path).body) for _ in range(TURNS)]
    assert counts == list(range(1, TURNS + 1))


@pytest.mark.parametrize("path", ["/count", "/count-stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_next_turn_sees_the_one_before_under_every_server(
    shared_servers: GetServer, visit: Visit, valkey: RedisServer, kind: str, path: str
) -> None:
    visitor = visit(shared_servers(kind))
    assert [int(visitor.ask("POST", path).body) for _ in range(50)] == list(range(1, 51))


LAST_MESSAGES: dict[str, list[Message]] = {
    "body": [{"type": "http.response.body", "body": b"last"}],
    "empty body": [
        {"type": "http.response.body", "body": b"last", "more_body": True},
        {"type": "http.response.body"},
    ],
    "pathsend": [{"type": "http.response.pathsend", "path": "/dev/null"}],
    "zero copy": [{"type": "http.response.zerocopysend", "file": 0}],
    "trailers": [
        {"type": "http.response.body", "body": b"last"},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True},
        {"type": "http.response.trailers", "headers": []},
    ],
}


@pytest.mark.parametrize("ending", list(LAST_MESSAGES))
async def test_the_last_message_waits_for_a_slow_commit(valkey: RedisServer, ending: str) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send({**start(), "trailers": ending == "trailers"})
        wire.hold()
        conversation.state["written"] = True
        for message in LAST_MESSAGES[ending]:
            await send(message)

    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS) as store,
    ):
        exchange = Exchange()
        running = asyncio.create_task(exchange.run(around(handler, store)))
        await asyncio.wait_for(wire.held.wait(), PATIENT_SECONDS)
        before_the_commit = list(exchange.sent)
        wire.release()
        await running
        assert len(exchange.sent) == len(LAST_MESSAGES[ending]) + 1
        assert before_the_commit == exchange.sent[:-1]
        assert await store.size() == 1


async def test_the_user_message_is_stored_before_the_response_starts(valkey: RedisServer) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.messages.append({"role": "user", "content": "hello"})
        wire.hold()
        await send(start())
        await send(body())

    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS) as store,
    ):
        exchange = Exchange()
        running = asyncio.create_task(exchange.run(around(handler, store)))
        await asyncio.wait_for(wire.held.wait(), PATIENT_SECONDS)
        assert exchange.sent == []
        wire.release()
        await running
        assert types(exchange) == ["start", "body"]


async def test_a_commit_whose_reply_was_lost_is_applied_once(valkey: RedisServer) -> None:
    """The connection breaks after the server has applied the commit: it is sent again."""
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS) as store,
    ):
        await store.set("one", {"messages": [{"content": "first"}]})
        async with store.open("one") as conversation:
            conversation.messages.append({"content": "second"})
            wire.lose_next_reply()
        assert wire.lost.is_set()
        assert await store.get("one") == {"messages": [{"content": "first"}, {"content": "second"}]}
        assert not store.condition().degraded
