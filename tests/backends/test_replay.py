"""What was written during an outage is applied once, in order, and brings back nothing deleted."""

import logging

import pytest

from jv_session_mw.backends.fallback import KEPT
from jv_session_mw.changes import DELETED, Changes, Put, Snapshot
from tests.backends.harness import (
    KEY,
    TIMEOUT,
    appends,
    commit,
    commit_id,
    load,
    puts,
    values,
)
from tests.backends.parted import Parted, both, resting_on, turn

rejecting = pytest.mark.parametrize("parted", [True], indirect=True, ids=["reject"])


async def test_turns_of_an_outage_join_what_was_stored_before(parted: Parted) -> None:
    await turn(parted, b"1", step=(None, b"a"))
    await parted.part()
    assert (await turn(parted, b"2", step=(b"a", b"b"))).fallback == "breaker_open"
    assert (await turn(parted, b"3", step=(b"b", b"c"))).fallback == KEPT
    assert values(await load(parted.elsewhere)) == [b"1"]
    await parted.join()
    stored = await both(parted)
    assert values(stored) == [b"1", b"2", b"3"]
    assert stored.fields == {"step": b"c"}
    assert stored.version == 3
    assert parted.conflicts == 0


async def test_turns_after_one_whose_reply_was_lost_and_that_others_have_seen_join_it(
    parted: Parted,
) -> None:
    await turn(parted, b"1")
    held = await load(parted.here)
    unsure, beside = resting_on(held, appends(0, b"2")), resting_on(held, appends(0, b"other"))
    await commit(parted.elsewhere, unsure)  # it has arrived, and nobody was told
    await load(parted.here)
    await parted.part()
    taken = await commit(parted.here, unsure)
    assert taken.version == 2
    assert (await commit(parted.here, beside)).status == "committed"
    await commit(parted.here, resting_on(taken, appends(0, b"3")))
    await turn(parted, b"4")
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2", b"other", b"3", b"4"]
    assert parted.conflicts == 0


async def test_what_was_begun_during_an_outage_is_created(parted: Parted) -> None:
    await parted.part()
    await turn(parted, b"1", step=(None, b"a"))
    await turn(parted, b"2")
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2"]
    await turn(parted, b"3")
    assert values(await both(parted)) == [b"1", b"2", b"3"]


async def test_what_somebody_else_wrote_meanwhile_stays(parted: Parted) -> None:
    await turn(parted, b"1", mine=(None, b"a"), theirs=(None, b"a"))
    await parted.part()
    await turn(parted, b"2", mine=(b"a", b"b"))
    await commit(parted.elsewhere, appends(1, b"other"))
    await commit(parted.elsewhere, puts(2, theirs=(b"a", b"c")))
    await parted.join()
    stored = await both(parted)
    assert values(stored) == [b"1", b"other", b"2"]
    assert stored.fields == {"mine": b"b", "theirs": b"c"}
    assert parted.conflicts == 0


async def test_a_collision_is_applied_and_reported(
    parted: Parted, caplog: pytest.LogCaptureFixture
) -> None:
    await turn(parted, step=(None, b"a"))
    await parted.part()
    await turn(parted, b"1", step=(b"a", b"here"))
    await commit(parted.elsewhere, puts(1, step=(b"a", b"there")))
    with caplog.at_level(logging.WARNING, "jv_session_mw"):
        await parted.join()
    assert (await both(parted)).fields == {"step": b"here"}
    assert parted.conflicts == 1
    assert any("step collided" in line for line in caplog.messages)


@rejecting
async def test_a_collision_is_left_out_and_reported_where_it_is_to_be_rejected(
    parted: Parted,
) -> None:
    await turn(parted, b"0", step=(None, b"a"), topic=(None, b"x"))
    await parted.part()
    await turn(parted, b"1", step=(b"a", b"here"), topic=(b"x", b"y"))
    await commit(parted.elsewhere, puts(1, step=(b"a", b"there")))
    await parted.join()
    stored = await both(parted)
    assert stored.fields == {"step": b"there", "topic": b"y"}
    assert values(stored) == [b"0", b"1"]
    assert parted.conflicts == 1


async def test_edits_meet_the_messages_that_were_meant(parted: Parted) -> None:
    await turn(parted, b"1", b"2")
    await parted.part()
    await turn(parted, b"3", b"4")
    await commit(parted.elsewhere, appends(1, b"other"))
    held = await load(parted.here)
    assert values(held) == [b"1", b"2", b"3", b"4"]
    first, second, third, fourth = held.messages.numbers
    edit = Changes(
        commit_id(), 0, replaced={first: Put(b"1!", b"1"), third: Put(b"3!", b"3")},
        dropped=[second, fourth],
    )  # fmt: skip
    await commit(parted.here, resting_on(held, edit))
    await parted.join()
    assert values(await both(parted)) == [b"1!", b"other", b"3!"]
    assert parted.conflicts == 0


async def test_a_clear_leaves_what_it_has_not_seen(parted: Parted) -> None:
    await turn(parted, b"1", b"2")
    await parted.part()
    await turn(parted, b"3")
    held = await load(parted.here)
    await commit(parted.elsewhere, appends(1, b"other"))
    clear = Changes(commit_id(), 0, cleared=held.messages.numbers[-1], appended=[b"new"])
    await commit(parted.here, resting_on(held, clear))
    await parted.join()
    assert values(await both(parted)) == [b"other", b"new"]


async def test_what_was_deleted_during_an_outage_is_deleted(parted: Parted) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    assert await parted.here.delete(KEY, TIMEOUT)
    assert (await commit(parted.here, appends(1, b"late"))).status == "gone"
    await parted.join()
    assert await load(parted.elsewhere) == DELETED
    assert await load(parted.here) == DELETED
    assert parted.conflicts == 0


async def test_what_was_revived_after_a_delete_begins_anew(parted: Parted) -> None:
    await turn(parted, b"1")
    await parted.part()
    await parted.here.delete(KEY, TIMEOUT)
    await commit(parted.here, Changes(commit_id(), 0, appended=[b"new"], revive=True))
    await turn(parted, b"more")
    await parted.join()
    assert values(await both(parted)) == [b"new", b"more"]


async def test_what_was_deleted_elsewhere_meanwhile_stays_deleted_and_is_reported(
    parted: Parted,
) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    await turn(parted, b"3")
    await parted.elsewhere.delete(KEY, TIMEOUT)
    await parted.join()
    assert await load(parted.elsewhere) == DELETED
    assert await load(parted.here) == DELETED
    assert parted.conflicts == 2


async def test_a_server_that_comes_back_empty_gets_back_what_memory_has(parted: Parted) -> None:
    await turn(parted, b"1", b"2", step=(None, b"a"))
    await parted.part()
    during = await turn(parted, b"3")
    parted.server.flush()
    await parted.join()
    stored = await both(parted)
    assert values(stored) == [b"1", b"2", b"3"]
    assert stored.fields == {"step": b"a"}
    # A request that began before its return goes on with what it had.
    await commit(parted.here, resting_on(during, appends(0, b"4")))
    assert values(await both(parted)) == [b"1", b"2", b"3", b"4"]


async def loaded_in_an_outage(parted: Parted) -> Snapshot:
    """Return what a request has loaded in an outage, which is over by now."""
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    held = await load(parted.here)
    await commit(parted.elsewhere, appends(1, b"other"))
    await parted.join()
    return held


@pytest.mark.parametrize("during", [True, False])
async def test_a_request_that_began_in_memory_goes_on_over_another_outage(
    parted: Parted, during: bool
) -> None:
    held = await loaded_in_an_outage(parted)
    await both(parted)
    await parted.part()
    await turn(parted, b"3")
    if not during:
        await parted.join()
    second = held.messages.numbers[-1]
    late = Changes(commit_id(), 0, replaced={second: Put(b"2!", b"2")}, appended=[b"4"])
    outcome = await commit(parted.here, resting_on(held, late))
    assert (outcome.status, outcome.conflicts) == ("committed", [])
    await parted.join()
    assert values(await both(parted)) == [b"1", b"other", b"2!", b"3", b"4"]
    assert parted.conflicts == 0


async def test_an_outage_just_after_a_replay_goes_on_with_what_was_replayed(
    parted: Parted,
) -> None:
    held = await loaded_in_an_outage(parted)
    await parted.part()
    assert values(await load(parted.here)) == [b"1", b"other", b"2"]
    outcome = await commit(parted.here, resting_on(held, appends(0, b"3")))
    assert (outcome.status, outcome.conflicts) == ("committed", [])
    await parted.join()
    assert values(await both(parted)) == [b"1", b"other", b"2", b"3"]
    assert parted.conflicts == 0


async def test_a_request_that_began_in_memory_ends_in_the_store(parted: Parted) -> None:
    held = await loaded_in_an_outage(parted)
    second = held.messages.numbers[-1]
    late = Changes(commit_id(), 0, replaced={second: Put(b"2!", b"2")}, appended=[b"3"])
    outcome = await commit(parted.here, resting_on(held, late))
    assert (outcome.status, outcome.conflicts) == ("committed", [])
    assert values(await both(parted)) == [b"1", b"other", b"2!", b"3"]


async def test_a_request_that_began_in_a_new_conversation_ends_in_the_store(
    parted: Parted,
) -> None:
    await parted.part()
    held = await turn(parted, b"1")
    await parted.join()
    await turn(parted, b"2")
    late = Changes(commit_id(), 0, replaced={held.first_seq: Put(b"1!", b"1")})
    await commit(parted.here, resting_on(held, late))
    stored = await both(parted)
    assert values(stored) == [b"1!", b"2"]
    drop = Changes(commit_id(), 0, dropped=[stored.messages.numbers[-1]])
    await commit(parted.here, resting_on(stored, drop))
    assert values(await both(parted)) == [b"1!"]


async def test_a_history_that_this_process_has_not_is_gone_on_with(parted: Parted) -> None:
    stored = await commit(parted.elsewhere, appends(0, b"1", b"2"))
    await parted.part()
    held = Snapshot(version=stored.version, birth=stored.birth)
    await commit(parted.here, resting_on(held, appends(0, b"3")))
    first = (await load(parted.elsewhere)).messages.numbers[0]
    edit = Changes(commit_id(), 0, replaced={first: Put(b"1!", b"1")}, appended=[b"4"])
    await commit(parted.here, resting_on(held, edit))
    await parted.join()
    assert values(await both(parted)) == [b"1!", b"2", b"3", b"4"]


async def test_what_memory_has_forgotten_and_begun_anew_joins_what_came_before(
    parted: Parted,
) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    parted.here.kept.forget(KEY)  # as when it has to make room
    await turn(parted, b"3")
    await turn(parted, b"4")
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2", b"3", b"4"]
    assert parted.conflicts == 0


@rejecting
async def test_a_rest_of_what_memory_has_forgotten_joins_what_came_before(parted: Parted) -> None:
    await turn(parted, b"1", step=(None, b"a"))
    await parted.part()
    await turn(parted, b"2", step=(b"a", b"here"))
    parted.here.kept.forget(KEY)  # as when it has to make room
    await turn(parted, b"3")
    await turn(parted, b"4")
    await commit(parted.elsewhere, puts(1, step=(b"a", b"there")))
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2", b"3", b"4"]
    assert parted.conflicts == 1
