"""Sessions follow their conversations, through the middleware, on the way of the requests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from jv_session_mw import (
    ConfigurationError,
    ConversationMiddleware,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
)
from jv_session_mw.tracking import (
    ENDED,
    LIVE,
    ChatSession,
    MemorySessionTracker,
    SessionTracker,
    TrackPolicy,
)
from tests.promises.clients import Ticket
from tests.servers import RedisServer
from tests.tracking.apps import KEYS, chat, tracked

ALICE = "alice"


class Chat:
    """A client of one user, whose conversation goes on by its token."""

    def __init__(self, client: httpx.AsyncClient, owner: str | None = ALICE) -> None:
        self.ticket = Ticket()
        self._headers = {} if owner is None else {"x-owner": owner}
        self._client = client

    async def post(self, path: str, method: str = "POST") -> httpx.Response:
        headers = {**self._headers, **self.ticket.headers}
        answer = await self._client.request(method, path, headers=headers)
        self._client.cookies.clear()  # its jar is for all of them
        self.ticket.learn(answer.headers.multi_items())
        return answer

    async def say(self, text: str = "hello") -> str:
        answer = await self.post(f"/say?text={text}")
        assert answer.status_code == 200, answer.text
        found: str = answer.json()
        return found


@asynccontextmanager
async def chatting(
    tracker: SessionTracker,
    store: ConversationStore | None = None,
    track: TrackPolicy | None = None,
) -> AsyncGenerator[httpx.AsyncClient]:
    async with store or MemoryConversationStore() as opened:
        app = tracked(tracker, opened, track)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
            yield client


async def only(tracker: SessionTracker, owner: str | None = ALICE) -> ChatSession:
    (session,) = (await tracker.list(owner=owner, status=LIVE | ENDED)).sessions
    return session


async def none(tracker: SessionTracker, owner: str | None = ALICE) -> bool:
    return not (await tracker.list(owner=owner, status=LIVE | ENDED)).sessions


async def test_a_session_begins_with_the_first_message(tracker: SessionTracker) -> None:
    async with chatting(tracker) as client:
        chat = Chat(client)
        await chat.post("/read", "GET")
        await chat.post("/note")
        assert await none(tracker)
        id = await chat.say("I need a flight to Rome")
        session = await only(tracker)
        assert (session.id, session.owner) == (id, ALICE)
        assert (session.title, session.message_count) == ("I need a flight to Rome", 2)
        await chat.say("next week")
        await chat.post("/stream?text=or sooner")
        await chat.post("/read", "GET")
        session = await only(tracker)
        assert (session.title, session.message_count) == ("I need a flight to Rome", 6)


async def test_what_is_only_read_is_no_activity(tracker: SessionTracker) -> None:
    async with chatting(tracker) as client:
        chat = Chat(client)
        await chat.say()
        before = await only(tracker)
        await chat.post("/read", "GET")
        assert await only(tracker) == before
        await chat.post("/note")
        after = await only(tracker)
        assert after.message_count == before.message_count
        assert after.last_activity_at > before.last_activity_at


async def test_the_count_is_what_was_said_less_what_was_taken_back(
    tracker: SessionTracker,
) -> None:
    async with chatting(tracker, MemoryConversationStore(window=3)) as client:
        chat = Chat(client)
        for _ in range(4):
            await chat.say()
        await chat.post("/regenerate")
        assert (await only(tracker)).message_count == 8
        await chat.post("/clear")
        assert (await only(tracker)).message_count == 0
        await chat.say()
        assert (await only(tracker)).message_count == 2


async def test_each_owner_and_each_visitor_has_sessions_of_their_own(
    tracker: SessionTracker,
) -> None:
    async with chatting(tracker) as client:
        for owner in (ALICE, "bob", None):
            await Chat(client, owner).say()
        assert [(await only(tracker, owner)).owner for owner in (ALICE, "bob", None)] == [
            ALICE, "bob", None,
        ]  # fmt: skip


@pytest.mark.parametrize("on_delete", ["archive", "delete"])
async def test_a_deleted_conversation_ends_its_session(
    tracker: SessionTracker, on_delete: str
) -> None:
    track = TrackPolicy(on_delete=on_delete)  # type: ignore[arg-type]
    async with chatting(tracker, track=track) as client:
        chat = Chat(client)
        await chat.say()
        await chat.post("/conversation", "DELETE")
        if on_delete == "archive":
            assert (await only(tracker)).status == "archived"
        else:
            assert await none(tracker)
        await chat.say("another one")
        live = (await tracker.list(owner=ALICE)).sessions
        assert [session.title for session in live] == ["another one"]


async def test_a_delete_of_a_conversation_that_never_was_leaves_no_trace(
    tracker: SessionTracker,
) -> None:
    async with chatting(tracker) as client:
        await Chat(client).post("/conversation", "DELETE")
        assert await none(tracker)


async def test_a_visitor_who_logs_in_takes_the_session_along(tracker: SessionTracker) -> None:
    async with chatting(tracker) as client:
        chat = Chat(client, None)
        await chat.say("before the login")
        id = (await chat.post(f"/login/{ALICE}")).json()
        assert await none(tracker, None)
        session = await only(tracker)
        assert (session.id, session.title) == (id, "before the login")
        known = Chat(client, ALICE)
        known.ticket.token = chat.ticket.token
        assert await known.say("after it") == id
        assert (await only(tracker)).message_count == 4


PARTS = [
    ([{"role": "user", "content": "plain"}], "plain"),
    ([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "u"),
    (
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "in parts"}]}],
        "in parts",
    ),
    ([{"role": "user", "parts": [{"type": "text", "text": "of a UI"}]}], "of a UI"),
    ([{"role": "user", "content": "a\0b\ud800c"}], "a\ufffdb?c"),
    ([{"role": "user", "content": 7}], ""),
    ([{"role": "user", "content": None}], ""),
    ([{"role": "assistant", "content": "welcome"}], ""),
    ([{"n": 1}], ""),
]


@pytest.mark.parametrize(("messages", "title"), PARTS, ids=[title or "none" for _, title in PARTS])
async def test_the_title_is_what_the_user_said_first(
    messages: list[dict[str, object]], title: str
) -> None:
    async def say(request: Request) -> Response:
        request.state.conversation.messages.extend(messages)
        return Response()

    async with MemoryConversationStore() as store:
        tracker = MemorySessionTracker()
        app = ConversationMiddleware(
            Starlette(routes=[Route("/", say)]), store=store, secret_keys=KEYS, tracker=tracker
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
            answer = await client.get("/")
        if "\ud800" in str(messages[0].get("content")):
            assert answer.status_code == 500  # which the store refuses, before any tracker
            assert await none(tracker, None)
            return
        assert (await only(tracker, None)).title == title


def test_each_turn_of_a_websocket_is_followed() -> None:
    tracker = MemorySessionTracker()
    app = tracked(tracker, MemoryConversationStore())
    with TestClient(app, base_url="https://testserver") as client:
        with client.websocket_connect("/socket", headers={"x-owner": ALICE}) as socket:
            for text in ("one", "two"):
                socket.send_text(text)
                socket.receive_text()
        assert client.portal is not None
        session = client.portal.call(only, tracker)
    assert (session.title, session.message_count) == ("one", 2)


KEPT = TrackPolicy(snapshot=True)


@pytest.fixture
def store(valkey: RedisServer) -> ConversationStore:
    return RedisConversationStore(url=valkey.url, deadline=20.0)


async def test_an_expired_conversation_comes_back_from_its_snapshot(
    tracker: SessionTracker, store: ConversationStore, valkey: RedisServer
) -> None:
    async with chatting(tracker, store, KEPT) as client:
        chat = Chat(client)
        await chat.post("/note")
        id = await chat.say("remember me")
        await tracker.pause(id, owner=ALICE)
        valkey.do("FLUSHALL")  # as its TTL would end everything: no tombstone is left
        later = Chat(client)
        await later.say("something else")
        answer = await later.post(f"/resume/{id}")
        assert [message["content"] for message in answer.json()] == ["remember me", "yes"]
        assert await later.say("go on") == id
        found = (await later.post("/read", "GET")).json()
        assert found["state"] == {"noted": True}
        assert [message["content"] for message in found["said"]] == [
            "remember me", "yes", "go on", "yes",
        ]  # fmt: skip
        session = await tracker.get(id, owner=ALICE)
        assert (session.status, session.message_count) == ("active", 4)


async def test_what_many_requests_bring_back_at_once_comes_back_once(
    tracker: SessionTracker, store: ConversationStore, valkey: RedisServer
) -> None:
    async with chatting(tracker, store, KEPT) as client:
        id = await Chat(client).say("remember me")
        await tracker.flush()
        valkey.do("FLUSHALL")
        answers = await asyncio.gather(*(Chat(client).post(f"/resume/{id}") for _ in range(8)))
        assert [len(answer.json()) for answer in answers] == [2] * 8


async def test_what_is_still_stored_is_resumed_as_it_is(
    tracker: SessionTracker, store: ConversationStore
) -> None:
    async with chatting(tracker, store) as client:
        first = Chat(client)
        id = await first.say("one")
        second = Chat(client)
        assert await second.say("two") != id
        assert len((await second.post(f"/resume/{id}")).json()) == 2
        assert await second.say("three") == id
        assert (await tracker.get(id, owner=ALICE)).message_count == 4


async def test_one_may_be_deleted_for_another(tracker: SessionTracker) -> None:
    async with chatting(tracker) as client:
        first, second = Chat(client), Chat(client)
        id = await first.say("one")
        await second.say("two")
        assert (await second.post(f"/leave-for/{id}")).status_code == 200
        found = (await second.post("/read", "GET")).json()
        assert found["id"] == id
        assert [message["content"] for message in found["said"]] == ["one", "yes", "here again"]
        live = (await tracker.list(owner=ALICE)).sessions
        assert [(session.id, session.message_count) for session in live] == [(id, 3)]


async def test_what_is_not_ones_own_is_not_resumed(tracker: SessionTracker) -> None:
    async with chatting(tracker, track=KEPT) as client:
        id = await Chat(client).say("private")
        nobodys = await Chat(client, None).say("nobody's")
        mallory = Chat(client, "mallory")
        own = await mallory.say("mine")
        for other in (id, nobodys, "made up"):
            assert (await mallory.post(f"/resume/{other}")).status_code == 500
            assert await mallory.say("still mine") == own
        assert (await Chat(client, None).post(f"/resume/{nobodys}")).status_code == 500


async def test_what_was_deleted_or_archived_is_not_resumed(tracker: SessionTracker) -> None:
    async with chatting(tracker, track=KEPT) as client:
        chat = Chat(client)
        deleted = await chat.say("gone")
        await chat.post("/conversation", "DELETE")
        ended = await chat.say("over")
        await tracker.complete(ended, owner=ALICE)
        for id in (deleted, ended):
            assert (await Chat(client).post(f"/resume/{id}")).status_code == 500
        await tracker.reopen(deleted, owner=ALICE)
        assert (await Chat(client).post(f"/resume/{deleted}")).status_code == 500


def test_a_tracker_that_is_none_is_refused_at_start() -> None:
    app, store = chat(), MemoryConversationStore()
    with pytest.raises(ConfigurationError, match="tracker="):
        ConversationMiddleware(app, store=store, secret_keys=KEYS, tracker="yes")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="there is no tracker"):
        ConversationMiddleware(app, store=store, secret_keys=KEYS, track=TrackPolicy())
    with pytest.raises(ConfigurationError, match="on_delete"):
        TrackPolicy(on_delete="burn")  # type: ignore[arg-type]
