"""Another conversation of the same owner goes on, also one that has expired."""

import asyncio
from urllib.parse import quote

import pytest

from jv_session_mw import (
    ConversationStore,
    RedisConversationStore,
    UnsupportedValue,
)
from jv_session_mw.tracking import (
    SessionTracker,
    TrackPolicy,
)
from jv_session_mw.tracking.follower import TrackerFollower
from tests.servers import RedisServer
from tests.tracking.chatting import ALICE, Chat, chatting

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


@pytest.mark.parametrize("id", ["x; Domain=evil.example", "a\r\nSet-Cookie: b=c", "Größe", "a,b"])
async def test_an_id_of_the_apps_own_goes_on_whatever_is_in_it(
    tracker: SessionTracker, store: ConversationStore, id: str
) -> None:
    await tracker.create(id, owner=ALICE)
    async with chatting(tracker, store) as client:
        await store.set(id, {"messages": [{"role": "user", "content": "one"}]}, owner=ALICE)
        chat = Chat(client)
        assert len((await chat.post(f"/resume/{quote(id, safe='')}")).json()) == 1
        assert await chat.say("two") == id


async def test_an_id_that_no_token_can_hold_is_refused_before_anything_changes(
    tracker: SessionTracker, store: ConversationStore
) -> None:
    id = "x" * 600
    await tracker.create(id, owner=ALICE)
    await tracker.pause(id, owner=ALICE)
    async with store:
        await store.set(id, {"messages": [{"role": "user", "content": "one"}]}, owner=ALICE)
        conversation = store.conversation(None, ALICE)
        conversation.followed_by(TrackerFollower(tracker, KEPT))
        with pytest.raises(UnsupportedValue, match="too long"):
            await conversation.resume(id)
    assert conversation.is_new
    assert (await tracker.get(id, owner=ALICE)).status == "paused"


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


async def test_a_session_without_a_conversation_stays_paused(
    tracker: SessionTracker, store: ConversationStore, valkey: RedisServer
) -> None:
    async with chatting(tracker, store) as client:
        id = await Chat(client).say("not kept")
        await tracker.pause(id, owner=ALICE)
        valkey.do("FLUSHALL")  # as its TTL would end everything: no tombstone is left
        assert (await Chat(client).post(f"/resume/{id}")).status_code == 500
        assert (await tracker.get(id, owner=ALICE)).status == "paused"


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
