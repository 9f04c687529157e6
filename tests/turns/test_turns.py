"""One turn at a time in each conversation, whichever process its requests come to."""

import asyncio

import pytest

from jv_session_mw import (
    ConversationBusy,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
)
from tests.promises.recording import Recorder
from tests.servers import RedisServer
from tests.stores import PATIENCE
from tests.turns.counting import HeldTurn, count_up, counted


async def test_each_turn_sees_all_that_the_turns_before_have_stored(
    store: ConversationStore,
) -> None:
    await store.set("id", {})
    await asyncio.gather(*(count_up(store) for _ in range(20)))
    assert await store.get("id") == counted(20)


async def test_so_it_is_between_processes_and_for_a_conversation_that_begins(
    processes: list[ConversationStore],
) -> None:
    await asyncio.gather(*(count_up(store) for store in processes * 5))
    assert await processes[0].get("id") == counted(10)


async def test_requests_of_one_process_have_their_turns_in_their_order(
    store: ConversationStore,
) -> None:
    await store.set("id", {})
    order: list[int] = []

    async def turn(number: int) -> None:
        async with store.conversation("id").turn():
            order.append(number)

    held, tasks = await HeldTurn(store).begun(), list[asyncio.Task[None]]()
    for number in range(9):
        tasks.append(asyncio.create_task(turn(number)))
        await asyncio.sleep(0)
    await held.end()
    await asyncio.gather(*tasks)
    assert order == list(range(9))


async def test_without_a_block_it_is_held_until_what_opened_the_conversation_ends(
    store: ConversationStore,
) -> None:
    await store.set("id", {})
    async with store.open("id") as conversation:
        await conversation.turn()
        with pytest.raises(ConversationBusy):
            await store.conversation("id").turn(wait=0)
        conversation.state["a"] = 1
    async with store.open("id") as conversation:
        await conversation.turn(wait=0)
        assert conversation.state == {"a": 1}


async def test_a_turn_inside_of_a_turn_is_a_part_of_it(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        async with conversation.turn():
            await conversation.turn(wait=0)
            async with conversation.turn(wait=0):
                conversation.state["a"] = 1
            with pytest.raises(ConversationBusy):
                await store.conversation("id").turn(wait=0)
        async with store.conversation("id").turn(wait=0):
            pass


async def test_a_turn_lasts_as_long_as_the_last_of_its_blocks(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        outer, inner = conversation.turn(), conversation.turn()
        await outer.__aenter__()
        await inner.__aenter__()
        await outer.__aexit__(None, None, None)  # as another task of the request does
        with pytest.raises(ConversationBusy):
            await store.conversation("id").turn(wait=0)
        conversation.state["a"] = 1
        await inner.__aexit__(None, None, None)
        async with store.open("id") as other, other.turn(wait=0):
            assert other.state == {"a": 1}


@pytest.mark.parametrize("wait", [0, PATIENCE])
async def test_tasks_of_a_request_that_take_it_at_once_do_not_wait_for_each_other(
    store: ConversationStore, wait: float
) -> None:
    async with store.open("id") as conversation:
        await asyncio.gather(conversation.turn(wait=wait), conversation.turn(wait=wait))
        with pytest.raises(ConversationBusy):
            await store.conversation("id").turn(wait=0)
    async with store.conversation("id").turn(wait=0):
        pass


async def test_turns_of_different_conversations_do_not_wait_for_each_other(
    store: ConversationStore,
) -> None:
    held = await HeldTurn(store).begun()
    await count_up(store, "another")
    await held.end()


async def test_an_impatient_task_does_not_wait_for_a_patient_one_of_its_request() -> None:
    async with MemoryConversationStore() as store:
        held, conversation = await HeldTurn(store).begun(), store.conversation("id")
        patient = asyncio.ensure_future(conversation.turn(wait=PATIENCE))
        await asyncio.sleep(0)
        with pytest.raises(ConversationBusy):
            await conversation.turn(wait=0)
        assert not patient.done()
        await held.end()
        await patient
        await conversation.end_turn()


async def test_a_turn_that_has_ended_leaves_nothing_running(store: ConversationStore) -> None:
    await count_up(store)  # what a store runs for itself runs by now
    before = asyncio.all_tasks()
    await count_up(store)
    assert asyncio.all_tasks() == before


async def test_a_handle_that_is_not_loaded_yet_is_loaded_by_its_turn(
    store: ConversationStore,
) -> None:
    await store.set("id", {"a": 1})
    conversation = store.conversation("id")
    async with conversation.turn():
        assert conversation.state == {"a": 1}
        assert not conversation.is_new


async def test_what_was_changed_before_the_turn_is_not_lost(store: ConversationStore) -> None:
    await store.set("id", {})
    async with store.open("id") as conversation:
        conversation.state["before"] = 1
        async with conversation.turn():
            assert conversation.state == {"before": 1}


async def test_what_another_task_of_the_request_changed_during_the_wait_is_not_lost(
    store: ConversationStore,
) -> None:
    await store.set("id", {})
    held = await HeldTurn(store).begun()
    async with store.open("id") as conversation:
        taking = asyncio.ensure_future(conversation.turn())
        await asyncio.sleep(0)
        conversation.state["meanwhile"] = 1
        await held.end()
        await taking
        assert conversation.state == {"held": True, "meanwhile": 1}


async def test_a_visitor_takes_a_turn_in_a_conversation_of_his_own(
    store: ConversationStore,
) -> None:
    conversation = store.conversation(None)
    async with conversation.turn():
        conversation.state["a"] = 1
    assert await store.get(conversation.id) == {"a": 1}


@pytest.mark.parametrize("wait", [-1, 0, 0.01])
async def test_whoever_waits_too_long_is_told_so_and_changes_nothing(
    processes: list[ConversationStore], wait: float
) -> None:
    held = await HeldTurn(processes[0]).begun()
    for store in processes:  # the queue of the process says so to one, the store to the other
        with pytest.raises(ConversationBusy):
            await store.conversation("id").turn(wait=wait)
    await held.end()
    for store in processes:
        async with store.conversation("id").turn(wait=0):
            pass
    assert await processes[0].get("id") == {"held": True}


async def test_a_conversation_that_moves_in_its_turn_is_saved_where_it_went(
    store: ConversationStore,
) -> None:
    await store.set("id", {"a": 1})
    async with store.open("id") as conversation, conversation.turn():
        await conversation.rotate()
        conversation.state["b"] = 2
    assert await store.get(conversation.id) == {"a": 1, "b": 2}
    assert not await store.has("id")


async def test_a_turn_at_the_new_id_does_not_fence_off_the_request_that_moved_it_there(
    store: ConversationStore,
) -> None:
    await store.set("id", {"a": 1})
    async with store.open("id") as conversation, conversation.turn():
        await conversation.rotate()
        async with store.conversation(conversation.id).turn(wait=0):
            conversation.state["b"] = 2
            await conversation.save()


async def test_a_block_ends_no_turn_but_its_own(store: ConversationStore) -> None:
    await store.set("id", {})
    async with store.open("id") as conversation:
        async with conversation.turn():
            await conversation.rotate()
            await conversation.turn()
        with pytest.raises(ConversationBusy):
            await store.conversation(conversation.id).turn(wait=0)


async def test_a_turn_does_not_fence_off_the_changes_of_another_conversation(
    store: ConversationStore,
) -> None:
    await store.set("other", {}, owner="ada")
    async with store.open("id", owner="ada") as conversation, conversation.turn():
        for _ in range(9):  # the fence of a later turn is higher by one at least
            async with store.conversation("other", "ada").turn():
                pass
        await conversation.resume("other")
        conversation.state["a"] = 1
    assert await store.get("other", owner="ada") == {"a": 1}


@pytest.mark.parametrize("move", ["rotate", "resume"])
async def test_a_conversation_that_moves_in_its_turn_can_take_one_where_it_went(
    store: ConversationStore, move: str
) -> None:
    for id in ("id", "other"):
        await store.set(id, {}, owner="ada")
    async with store.open("id", owner="ada") as conversation:
        await conversation.turn()
        await (conversation.rotate() if move == "rotate" else conversation.resume("other"))
        await conversation.turn(wait=0)
        with pytest.raises(ConversationBusy):
            await store.conversation(conversation.id, "ada").turn(wait=0)
        async with store.conversation("id", "ada").turn(wait=0):
            pass


async def test_a_conversation_that_is_deleted_in_its_turn_stays_so(
    store: ConversationStore,
) -> None:
    await store.set("id", {"a": 1})
    async with store.open("id") as conversation, conversation.turn():
        await conversation.delete()
    assert not await store.has("id")


async def test_all_the_waiting_for_a_turn_is_one_span_and_so_is_its_end(
    valkey: RedisServer,
) -> None:
    recorder = Recorder()
    async with (
        RedisConversationStore(url=valkey.url, deadline=PATIENCE) as elsewhere,
        RedisConversationStore(
            url=valkey.url, deadline=PATIENCE, tracer_provider=recorder.tracer_provider
        ) as store,
    ):
        held = await HeldTurn(elsewhere).begun()
        with pytest.raises(ConversationBusy):
            await store.conversation("id").turn(wait=0)
        waiting = asyncio.create_task(count_up(store))
        await asyncio.sleep(0.1)  # so that it has asked more than once
        await held.end()
        await waiting
    for operation, results in {"lock": ["busy", "granted"], "unlock": ["given_back"]}.items():
        spans = recorder.named(f"conversation.{operation}")
        told = [(span.attributes or {})[f"jv_session.{operation}.result"] for span in spans]
        assert told == results
        assert all(span.status.is_unset for span in spans)
    recorder.close()
