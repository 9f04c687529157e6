"""What becomes of a turn that fails, is cancelled, is cut off, or meets a store that is away."""

import asyncio
from contextlib import suppress

import pytest

from jv_session_mw import (
    Conversation,
    ConversationBusy,
    ConversationGone,
    ConversationStore,
    RedisConversationStore,
    TurnLost,
    UnreadableConversation,
    turns,
)
from tests.backends.harness import Bytes, eventually
from tests.promises.recording import Recorder
from tests.promises.wire import Wire
from tests.servers import RedisServer
from tests.stores import PATIENCE
from tests.turns import leases
from tests.turns.counting import HeldTurn, count_up, counted


async def test_an_exception_discards_the_turn_and_lets_the_next_begin(
    store: ConversationStore,
) -> None:
    await store.set("id", {})

    async def fail() -> None:
        async with store.open("id") as conversation, conversation.turn():
            conversation.state["a"] = 1
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
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


async def test_a_turn_that_nobody_has_any_more_ends(store: ConversationStore) -> None:
    await store.conversation("id").turn()
    async with store.conversation("id").turn(wait=PATIENCE):  # a lease lasts for longer
        pass


async def test_a_turn_that_a_task_takes_after_its_request_is_over_at_once(
    store: ConversationStore,
) -> None:
    async def outlives_it(conversation: Conversation) -> None:
        await conversation.turn()

    held = await HeldTurn(store).begun()
    async with store.open("id") as conversation:
        task = asyncio.create_task(outlives_it(conversation))
        await asyncio.sleep(0)
    await held.end()
    await task
    async with store.conversation("id").turn(wait=PATIENCE):  # a lease lasts for longer
        pass


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


async def test_whoever_joins_a_turn_while_its_last_block_ends_has_it(
    valkey: RedisServer, processes: list[ConversationStore]
) -> None:
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, deadline=PATIENCE) as store,
    ):
        conversation = store.conversation("id")

        async def change() -> None:
            async with conversation.turn():
                conversation.state["a"] = 1
                wire.hold()

        ending = asyncio.create_task(change())
        await wire.held.wait()
        async with conversation.turn():
            wire.release()
            await ending
            with pytest.raises(ConversationBusy):
                await processes[1].conversation("id").turn(wait=0)


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
        stored.do("SET", leases.TURN, "not ours")
        conversation.state["a"] = 1
    assert await processes[1].get("id") == {"a": 1}
    with pytest.raises(UnreadableConversation):
        await processes[0].conversation("id").turn(wait=0)


async def test_a_turn_in_what_was_begun_and_deleted_meanwhile_is_told_so_and_stores_nothing(
    processes: list[ConversationStore],
) -> None:
    here, elsewhere = processes
    async with here.open("id") as conversation:
        await elsewhere.set("id", {})
        await elsewhere.delete("id")
        with pytest.raises(ConversationGone):
            await conversation.turn()
        async with elsewhere.conversation("id").turn(wait=0):
            assert await here.keys() == []


async def overtake(conversation: Conversation, elsewhere: ConversationStore, by: Bytes) -> None:
    """Append to *conversation*, and let its lease end and another process have a turn."""
    conversation.messages.append({"n": "late"})
    leases.end(by)
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


async def lose_turn(conversation: Conversation, elsewhere: ConversationStore, by: Bytes) -> None:
    """Take the turn, and hear at a save that a later one has begun."""
    await conversation.turn()
    await overtake(conversation, elsewhere, by)
    with pytest.raises(TurnLost):
        await conversation.save()


async def test_whoever_lost_the_turn_may_take_another(
    processes: list[ConversationStore], stored: Bytes
) -> None:
    here, elsewhere = processes
    await here.set("id", {})
    async with here.open("id") as conversation:
        await lose_turn(conversation, elsewhere, stored)
        conversation.discard()
        await conversation.end_turn()
    await count_up(here)
    assert await here.get("id") == counted(2)


async def test_a_reload_in_a_turn_does_not_let_through_what_comes_after_a_later_one(
    processes: list[ConversationStore], stored: Bytes
) -> None:
    here, elsewhere = processes
    await here.set("id", {})
    async with here.open("id") as conversation:
        await conversation.turn()
        await conversation.reload()
        await overtake(conversation, elsewhere, stored)
        with pytest.raises(TurnLost):
            await conversation.save()
        conversation.discard()
    assert await here.get("id") == counted(1)


async def test_whoever_has_looked_anew_after_a_lost_turn_takes_another_and_not_that_one(
    processes: list[ConversationStore], stored: Bytes
) -> None:
    here, elsewhere = processes
    await here.set("id", {})
    async with here.open("id") as conversation:
        await lose_turn(conversation, elsewhere, stored)
        await conversation.reload()
        await conversation.turn()
        with pytest.raises(ConversationBusy):
            await elsewhere.conversation("id").turn(wait=0)


async def test_a_turn_that_goes_on_keeps_its_lease_and_leaves_none(
    valkey: RedisServer, stored: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 0.05)
    async with RedisConversationStore(url=valkey.url, deadline=PATIENCE) as store:
        async with store.conversation("id").turn():
            _, _, first = leases.record(stored)
            await eventually(lambda: leases.record(stored)[2] > first + 200)
        await asyncio.sleep(0.1)  # of which a renewal would make use
        assert leases.record(stored)[2] == 0
