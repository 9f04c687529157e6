"""Promise: the last byte leaves only after the commit, so the next request sees it."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from jv_session_mw import Conversation, ConversationMiddleware, RedisConversationStore
from tests.promises.apps import KEYS
from tests.promises.conftest import PATIENT_SECONDS, GetServer, Visit
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
    sent: list[Message] = []
    changed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation: Conversation = scope["state"]["conversation"]
        start: Message = {"type": "http.response.start", "status": 200, "headers": []}
        await send({**start, "trailers": ending == "trailers"})
        wire.hold()
        conversation.state["written"] = True
        changed.set()
        for message in LAST_MESSAGES[ending]:
            await send(message)

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS) as store,
    ):
        middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
        scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        exchange = asyncio.create_task(middleware(scope, receive, send))
        await asyncio.wait_for(changed.wait(), PATIENT_SECONDS)
        await asyncio.wait_for(wire.held.wait(), PATIENT_SECONDS)
        before_the_commit = list(sent)
        wire.release()
        await exchange
        assert len(sent) == len(LAST_MESSAGES[ending]) + 1
        assert before_the_commit == sent[:-1]
        assert await store.size() == 1


async def test_the_user_message_is_stored_before_the_response_starts(valkey: RedisServer) -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation: Conversation = scope["state"]["conversation"]
        conversation.messages.append({"role": "user", "content": "hello"})
        wire.hold()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS) as store,
    ):
        middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
        scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        exchange = asyncio.create_task(middleware(scope, receive, send))
        await asyncio.wait_for(wire.held.wait(), PATIENT_SECONDS)
        assert sent == []
        wire.release()
        await exchange
        assert [message["type"] for message in sent] == [
            "http.response.start",
            "http.response.body",
        ]


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
