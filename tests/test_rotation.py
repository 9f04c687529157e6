"""What moves to a new id is all of it, whoever else is at it and whatever the store does."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import pytest
from opentelemetry import context
from starlette.types import Receive, Send

from jv_session_mw import (
    Conversation,
    ConversationGone,
    ConversationStore,
    RedisConversationStore,
)
from jv_session_mw.changes import Snapshot
from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import StoreUnavailable
from jv_session_mw.ids import TokenSigner
from jv_session_mw.rotation import move
from tests.promises.apps import KEYS
from tests.promises.raw import Exchange, around, body, start
from tests.promises.wire import Wire
from tests.servers import RedisServer
from tests.stores import PATIENCE

SIGNER = TokenSigner(KEYS, purpose="conversation")
MESSAGES: list[object] = [{"n": number} for number in range(60)]
WHOLE: dict[str, object] = {"a": 1, "b": 2, "messages": MESSAGES}

Meddle: TypeAlias = Callable[[], Awaitable[object]]


@pytest.fixture
async def store(store: ConversationStore) -> ConversationStore:
    """A store of each kind that has the conversation to be moved."""
    await store.set("old", WHOLE)
    return store


class Meddled(Channel, frozen=True):
    """A channel beside which somebody else does something, just before it is retired."""

    meddles: Iterator[Meddle] = iter(())

    async def retire(self, seen: Snapshot, deadline: Deadline) -> bool:
        for meddle in self.meddles:
            await meddle()
        return await super().retire(seen, deadline)


async def move_beside(store: ConversationStore, meddle: Meddle) -> None:
    """Move what is under `old` to `new`, while somebody else is at it."""
    backend, parent = store._backend, context.get_current()  # pyright: ignore[reportPrivateUsage]
    old = Meddled(backend, store.telemetry, parent, "old", "old", meddles=iter([meddle]))
    await move(old, Channel(backend, store.telemetry, parent, "new", "new"), PATIENCE)


@pytest.mark.parametrize(
    "meanwhile",
    [
        {**WHOLE, "messages": [*MESSAGES, {"n": "more"}]},
        {"b": 3, "c": 4, "messages": MESSAGES},
        {"a": 1, "messages": [{"n": "edited"}]},
        {"a": 1, "b": 2},
        WHOLE,
    ],
    ids=["appended", "fields", "edited", "cleared", "nothing"],
)
async def test_what_is_stored_during_a_move_is_moved_too(
    store: ConversationStore, meanwhile: dict[str, object]
) -> None:
    await move_beside(store, lambda: store.set("old", meanwhile))
    assert await store.get("new") == meanwhile
    assert await store.get("old") is None
    with pytest.raises(ConversationGone):
        async with store.open("old"):
            pass


async def test_what_is_deleted_during_a_move_stays_deleted(store: ConversationStore) -> None:
    with pytest.raises(ConversationGone):
        await move_beside(store, lambda: store.delete("old"))
    assert await store.keys() == []


async def test_of_two_rotations_at_once_one_finds_it_gone(store: ConversationStore) -> None:
    async with store.open("old") as one, store.open("old") as other:
        done = await asyncio.gather(one.rotate(), other.rotate(), return_exceptions=True)
        assert [type(error) for error in done if error is not None] == [ConversationGone]
        [new] = await store.keys()
        assert await store.get(new) == WHOLE
        one.discard()
        other.discard()


async def test_messages_that_only_the_store_has_are_not_left_behind(
    own_valkey: RedisServer,
) -> None:
    async with RedisConversationStore(url=own_valkey.url, window=5, deadline=0.3) as store:
        await store.set("id", WHOLE)
        async with store.open("id") as conversation:
            own_valkey.freeze()
            with pytest.raises(StoreUnavailable, match="only the last messages"):
                await conversation.rotate()
            with pytest.raises(StoreUnavailable, match="only the last messages"):
                await store.get("id")
            own_valkey.thaw()
    async with RedisConversationStore(url=own_valkey.url, deadline=PATIENCE) as other:
        assert await other.get("id") == WHOLE
        assert await other.keys() == ["id"]


async def test_what_would_be_in_memory_alone_stays_where_it_is(own_valkey: RedisServer) -> None:
    class Frozen(Channel, frozen=True):
        async def load_whole(self, deadline: Deadline) -> Snapshot:
            whole = await super().load_whole(deadline)
            own_valkey.freeze()
            return whole

    async with RedisConversationStore(url=own_valkey.url, deadline=0.3) as store:
        await store.set("old", WHOLE)
        backend, parent = store._backend, context.get_current()  # pyright: ignore[reportPrivateUsage]
        old = Frozen(backend, store.telemetry, parent, "old", "old")
        new = Channel(backend, store.telemetry, parent, "new", "new")
        with pytest.raises(StoreUnavailable, match="went away"):
            await move(old, new, 0.3)
        own_valkey.thaw()
    async with RedisConversationStore(url=own_valkey.url, deadline=PATIENCE) as other:
        assert await other.get("old") == WHOLE


async def goes_on_under_its_new_id(
    store: ConversationStore, *, after: Callable[[Conversation], Awaitable[None]]
) -> None:
    """Let a handler rotate by *after* and go on, and look for its turn behind the new token."""

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await after(conversation)
        conversation.state["a"] = 2
        await send(start(200, 2))
        await send(body(b"ok"))

    exchange = Exchange(headers={"X-Conversation-ID": SIGNER.sign("old")})
    await exchange.run(around(handler, store))
    identity = SIGNER.verify(exchange.token or "")
    assert identity is not None
    assert await store.get(identity.id) == {**WHOLE, "a": 2}


@pytest.mark.parametrize("stage", ["commit", "retire", "load"])
async def test_a_rotation_that_is_given_up_leads_to_all_of_it(
    monkeypatch: pytest.MonkeyPatch, store: ConversationStore, stage: str
) -> None:
    """As by a time-out that the app has put around its login, when the store has just answered."""
    answered, heard, stages = asyncio.Event(), asyncio.Event(), list[str]()

    def held(name: str, call: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def answer(*given: object) -> object:
            found = await call(*given)
            stages.append(name)
            if name == stage and (name != "load" or "retire" in stages):
                answered.set()
                await heard.wait()
            return found

        return answer

    async def give_up(conversation: Conversation) -> None:
        with monkeypatch.context() as patch:
            for name in ("commit", "retire", "load"):
                patch.setattr(Channel, name, held(name, getattr(Channel, name)))
            rotating = asyncio.create_task(conversation.rotate())
            await answered.wait()
            rotating.cancel()
            await asyncio.sleep(0)
            heard.set()
            await asyncio.wait({rotating})
            assert rotating.cancelled()
            await conversation.save()

    await goes_on_under_its_new_id(store, after=give_up)


async def test_a_rotation_that_fails_at_its_end_goes_on_under_the_new_id(
    monkeypatch: pytest.MonkeyPatch, store: ConversationStore
) -> None:
    retire = Channel.retire

    async def unheard(channel: Channel, seen: Snapshot, deadline: Deadline) -> bool:
        await retire(channel, seen, deadline)
        raise StoreUnavailable("the reply was lost", reason="timeout")

    async def fail(conversation: Conversation) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Channel, "retire", unheard)
            with pytest.raises(StoreUnavailable):
                await conversation.rotate()

    await goes_on_under_its_new_id(store, after=fail)


async def test_a_rotation_whose_last_reply_is_lost_hands_out_its_token(valkey: RedisServer) -> None:
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=0.3, fallback=None) as store,
    ):
        await store.set("id", {"step": 0})
        retire = Channel.retire

        async def lost(channel: Channel, seen: Snapshot, deadline: Deadline) -> bool:
            wire.lose_next_reply()
            retiring = asyncio.ensure_future(retire(channel, seen, deadline))
            await wire.lost.wait()
            wire.hold()
            return await retiring

        async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Channel, "retire", lost)
                await conversation.rotate()

        exchange = Exchange(headers={"X-Conversation-ID": SIGNER.sign("id")})
        await exchange.run(around(handler, store))
        assert exchange.status == 503
        wire.release()
    identity = SIGNER.verify(exchange.token or "")
    assert identity is not None
    async with RedisConversationStore(url=valkey.url, deadline=PATIENCE) as store:
        assert await store.get(identity.id) == {"step": 0}


async def test_a_delete_that_is_given_up_before_it_begins_has_deleted_nothing(
    valkey: RedisServer,
) -> None:
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENCE) as store,
    ):
        await store.set("id", {"step": 0})
        async with store.open("id") as conversation:
            conversation.state["step"] = 1
            wire.hold()
            saving = asyncio.create_task(conversation.save())
            await wire.held.wait()
            deleting = asyncio.create_task(conversation.delete())
            await asyncio.sleep(0)
            deleting.cancel()
            wire.release()
            await asyncio.wait({saving, deleting})
            assert not conversation.deleted
            conversation.state["step"] = 2
        assert await store.get("id") == {"step": 2}


@pytest.mark.parametrize("steps", range(8))
async def test_a_delete_that_is_given_up_is_carried_out_or_has_not_begun(
    store: ConversationStore, steps: int
) -> None:
    async with store.open("old") as conversation:
        deleting = asyncio.create_task(conversation.delete())
        for _ in range(steps):
            await asyncio.sleep(0)
        deleting.cancel()
        await asyncio.wait({deleting})
        await store.inflight.drain(PATIENCE)
        assert await store.has("old") is not conversation.deleted


@pytest.mark.parametrize("steps", range(1, 8))
async def test_what_is_changed_after_a_rotation_that_was_given_up_is_kept(
    store: ConversationStore, steps: int
) -> None:
    async with store.open("old") as conversation:

        async def turn() -> None:
            try:
                await conversation.rotate()
            finally:
                conversation.messages.append({"late": True})

        turning = asyncio.create_task(turn())
        for _ in range(steps):
            await asyncio.sleep(0)
        turning.cancel()
        await asyncio.wait({turning})
        await store.inflight.drain(PATIENCE)
        id = conversation.id
    stored = await store.get(id)
    assert stored is not None
    assert stored["messages"] == [*MESSAGES, {"late": True}]
