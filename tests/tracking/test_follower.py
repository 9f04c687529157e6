"""Sessions follow their conversations, through the middleware, on the way of the requests."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from jv_session_mw import (
    ConfigurationError,
    Conversation,
    ConversationConflict,
    ConversationGone,
    ConversationMiddleware,
    MemoryConversationStore,
)
from jv_session_mw.tracking import (
    MemorySessionTracker,
    SessionTracker,
    TrackPolicy,
)
from jv_session_mw.tracking.follower import TrackerFollower
from tests.tracking.apps import KEYS, chat, tracked
from tests.tracking.chatting import ALICE, Chat, chatting, none, only


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


async def test_a_turn_that_was_not_stored_is_not_counted(tracker: SessionTracker) -> None:
    async with MemoryConversationStore(on_conflict="reject") as store:

        async def held(value: int) -> Conversation:
            conversation = store.conversation("s", ALICE)
            conversation.followed_by(TrackerFollower(tracker, TrackPolicy()))
            await conversation.load()
            conversation.state["n"] = value
            conversation.messages.append({"role": "user", "content": "hello"})
            return conversation

        first, second = await held(1), await held(2)
        await first.save()
        with pytest.raises(ConversationConflict):
            await second.save()
        assert (await only(tracker)).message_count == 1
        late = await held(3)
        await store.delete("s", owner=ALICE)
        with pytest.raises(ConversationGone):
            await late.save()
        assert (await only(tracker)).message_count == 1


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


def test_a_tracker_that_is_none_is_refused_at_start() -> None:
    app, store = chat(), MemoryConversationStore()
    with pytest.raises(ConfigurationError, match="tracker="):
        ConversationMiddleware(app, store=store, secret_keys=KEYS, tracker="yes")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="there is no tracker"):
        ConversationMiddleware(app, store=store, secret_keys=KEYS, track=TrackPolicy())
    with pytest.raises(ConfigurationError, match="on_delete"):
        TrackPolicy(on_delete="burn")  # type: ignore[arg-type]
