"""What becomes of a turn that fails, is cancelled, is cut off, or meets a store that is away."""

import asyncio
from contextlib import suppress

import pytest

from jv_session_mw import (
    Conversation,
    ConversationStore,
    RedisConversationStore,
    StoreUnavailable,
    TurnLost,
    UnreadableConversation,
    turns,
)
from jv_session_mw.backends import fallback
from tests.backends.harness import Bytes, eventually
from tests.faults.proxy import Proxy
from tests.promises.recording import Recorder
from tests.promises.wire import Wire
from tests.servers import RedisServer
from tests.stores import PATIENCE
from tests.turns.counting import count_up, counted

TURN = "conv:{id}:t"


def record(stored: Bytes) -> tuple[bytes, bytes, int]:
    found = stored.do("GET", TURN)
    assert isinstance(found, bytes)
    fence, holder, end = found.split()
    return fence, holder, int(end)


async def test_an_exception_discards_the_turn_and_lets_the_next_begin(
    store: ConversationStore,
) -> None:
    await store.set("id", {})
    with pytest.raises(ZeroDivisionError):
        async with store.open("id") as conversation, conversation.turn():
            conversation.state["a"] = 1 // 0
    async with store.open("id") as conversation, conversation.turn(wait=0):
        assert conversation.state == {}


async def test_a_turn_that_is_cancelled_is_stored_before_the_next_begins(
    store: ConversationStore,
) -> None:
    await store.set("id", {})
    begun = asyncio.Event()

    async def cut_off() -> None:
        conversation = store.conversation("id")
        async with conversation.turn():
            conversation.state["half"] = True
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(cut_off())
    await begun.wait()
    task.cancel()
    conversation = store.conversation("id")
    async with conversation.turn():
        assert conversation.state == {"half": True}
    assert task.cancelled()


@pytest.mark.parametrize("steps", range(40))
async def test_whoever_is_cancelled_at_any_step_of_his_turn_holds_up_nobody(
    processes: list[ConversationStore], steps: int
) -> None:
    await processes[0].set("id", {})
    task = asyncio.create_task(count_up(processes[0]))
    for _ in range(steps):
        await asyncio.sleep(0.0001)  # so that replies come in between
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    before = await processes[0].get("id") or {}
    for store in processes:
        async with store.conversation("id").turn():
            pass
    await asyncio.gather(*(count_up(store) for store in processes))
    after = await processes[0].get("id") or {}
    assert after["count"] >= before.get("count", 0) + 2


async def test_a_turn_that_is_granted_to_nobody_any_more_is_given_back(
    valkey: RedisServer, processes: list[ConversationStore]
) -> None:
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENCE) as store,
    ):
        conversation = store.conversation("id")
        wire.hold()
        taking = asyncio.ensure_future(conversation.turn())
        await wire.held.wait()
        taking.cancel()
        await asyncio.wait({taking})
        wire.release()
        await processes[1].conversation("id").turn(wait=PATIENCE)  # a lease lasts for longer


async def test_a_turn_ends_after_the_commits_that_wait_in_it(valkey: RedisServer) -> None:
    recorder = Recorder()
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(
            url=wire.url, deadline=PATIENCE, tracer_provider=recorder.tracer_provider
        ) as store,
        store.open("id") as conversation,
    ):
        await conversation.turn()
        wire.hold()
        conversation.state["a"] = 1
        first = asyncio.create_task(conversation.save())
        await wire.held.wait()
        conversation.state["b"] = 2
        second = asyncio.create_task(conversation.save())
        await asyncio.sleep(0)
        end = asyncio.create_task(conversation.end_turn())
        await asyncio.sleep(0)
        wire.release()
        await asyncio.gather(first, second, end)
    started = sorted(recorder.ours(), key=lambda span: span.start_time or 0)
    names = [span.name.removeprefix("conversation.") for span in started]
    assert names == ["load", "lock", "load", "save", "save", "unlock"]
    recorder.close()


async def test_a_turn_in_what_cannot_be_read_is_over_at_once(
    valkey: RedisServer, stored: Bytes
) -> None:
    async with RedisConversationStore(url=valkey.url, deadline=PATIENCE) as store:
        stored.do("SET", "conv:{id}", "not ours")
        for _ in range(2):
            with pytest.raises(UnreadableConversation):
                await store.conversation("id").turn(wait=0)


async def test_a_turn_whose_record_another_program_has_written_over_is_stored_and_ends(
    processes: list[ConversationStore], stored: Bytes
) -> None:
    await processes[0].set("id", {})
    async with processes[0].open("id") as conversation, conversation.turn():
        stored.do("SET", TURN, "not ours")
        conversation.state["a"] = 1
    assert await processes[1].get("id") == {"a": 1}
    with pytest.raises(UnreadableConversation):
        await processes[0].conversation("id").turn(wait=0)


async def overtake(conversation: Conversation, elsewhere: ConversationStore, by: Bytes) -> None:
    """Append to *conversation*, and let its lease end and another process have a turn."""
    conversation.messages.append({"n": "late"})
    fence, holder, _ = record(by)
    by.do("SET", TURN, b"%b %b 1" % (fence, holder))
    await count_up(elsewhere)


async def test_whoever_lost_the_turn_stores_nothing_until_he_has_looked_anew(
    processes: list[ConversationStore], stored: Bytes
) -> None:
    here, elsewhere = processes
    await here.set("id", {})
    conversation = here.conversation("id")

    async def cut_off() -> None:
        async with conversation.turn():
            await overtake(conversation, elsewhere, stored)

    with pytest.raises(TurnLost):
        await cut_off()
    with pytest.raises(TurnLost):
        await conversation.save()
    assert await here.get("id") == counted(1)
    await conversation.reload()
    conversation.messages.append({"n": 1})
    await conversation.save()
    assert await here.get("id") == {"count": 1, "messages": [{"n": 0}, {"n": 1}]}


async def test_whoever_lost_the_turn_may_take_another(
    processes: list[ConversationStore], stored: Bytes
) -> None:
    here, elsewhere = processes
    await here.set("id", {})
    async with here.open("id") as conversation:
        await conversation.turn()
        await overtake(conversation, elsewhere, stored)
        with pytest.raises(TurnLost):
            await conversation.save()
        conversation.discard()
        await conversation.end_turn()
    await count_up(here)
    assert await here.get("id") == counted(2)


async def test_a_turn_that_goes_on_keeps_its_lease_and_leaves_none(
    valkey: RedisServer, stored: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 0.05)
    async with RedisConversationStore(url=valkey.url, deadline=PATIENCE) as store:
        async with store.conversation("id").turn():
            _, _, first = record(stored)
            await eventually(lambda: record(stored)[2] > first + 200)
        await asyncio.sleep(0.1)  # of which a renewal would make use
        assert record(stored)[2] == 0


async def test_a_lease_is_renewed_again_after_a_time_without_the_store(
    valkey: RedisServer, stored: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 0.05)
    async with (
        Proxy(valkey.port) as proxy,
        RedisConversationStore(url=proxy.url, fallback=None) as store,
        store.conversation("id").turn(),
    ):
        proxy.part()
        await eventually(lambda: store.condition().last_error is not None)
        _, _, last = record(stored)
        proxy.join()
        await eventually(lambda: record(stored)[2] > last + 50)


async def test_the_turns_of_a_process_are_kept_apart_while_the_store_is_away(
    valkey: RedisServer,
) -> None:
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {})
        proxy.part()
        await asyncio.gather(*(count_up(store) for _ in range(9)))
        async with store.open("id") as conversation:
            assert conversation.state == {"count": 9}
            assert conversation.degraded


async def test_a_turn_ends_in_memory_when_the_store_goes_away_in_it(valkey: RedisServer) -> None:
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {})
        async with store.open("id") as conversation, conversation.turn():
            proxy.part()
            conversation.state["a"] = 1
        await count_up(store)
        async with store.open("id") as conversation:
            assert conversation.state == {"a": 1, "count": 1}


async def test_what_a_turn_of_an_outage_stored_is_replayed_whoever_had_a_turn_meanwhile(
    valkey: RedisServer, processes: list[ConversationStore], stored: Bytes
) -> None:
    async with (
        Proxy(valkey.port) as proxy,
        RedisConversationStore(url=proxy.url, recovery="replay") as store,
    ):
        await store.set("id", {})
        async with store.open("id") as conversation:
            await conversation.turn()
            proxy.part()
            conversation.messages.append({"n": "here"})
            await conversation.save()
            fence, holder, _ = record(stored)
            stored.do("SET", TURN, b"%b %b 1" % (fence, holder))
            await count_up(processes[0])
            proxy.join()
        await eventually(lambda: not store.condition().to_replay)
        stored_now = await processes[0].get("id")
        assert stored_now == {"count": 1, "messages": [{"n": 0}, {"n": "here"}]}


@pytest.mark.parametrize("call", ["turn", "reload"])
async def test_memory_that_knows_nothing_of_a_conversation_does_not_call_it_gone(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(fallback, "A_QUARTER_OF_ENTRIES", 1)
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {"a": 1})
        conversation = store.conversation("id")
        await conversation.load()
        await store.set("another", {})  # there is room for the copy of one
        proxy.part()
        with pytest.raises(StoreUnavailable):
            await getattr(conversation, call)()
        assert conversation.state == {"a": 1}
