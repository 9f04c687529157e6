"""What memory takes over from a store that is away, and what it refuses and leaves as it was."""

import pytest

from jv_session_mw.changes import Changes, Outcome, Put
from tests.backends.harness import KEY, TIMEOUT, appends, commit, load, puts, values
from tests.backends.outage import Process
from tests.backends.parted import Parted, both, resting_on, turn

rejecting = pytest.mark.parametrize("parted", [True], indirect=True, ids=["reject"])


@rejecting
async def test_a_commit_that_is_refused_leaves_its_conversation_to_the_store(
    parted: Parted,
) -> None:
    late = resting_on(await turn(parted, b"1", step=(None, b"a")), puts(0, step=(b"a", b"late")))
    beside = resting_on(await turn(parted, step=(b"a", b"b")), appends(0, b"2"))
    await parted.part()
    assert (await commit(parted.here, late)).conflicts == ["step"]
    assert not parted.replay.journal
    await parted.join()
    assert (await commit(parted.here, beside)).fallback == ""
    assert (await turn(parted, b"3")).fallback == ""
    assert values(await both(parted)) == [b"1", b"2", b"3"]


@rejecting
async def test_a_change_of_what_this_process_does_not_know_collides_with_nothing(
    parted: Parted,
) -> None:
    changes = puts(0, step=(b"a", b"b"), topic=(None, b"x"))
    resting_on(await turn(parted, b"1", step=(None, b"a"), old=(None, b"y")), changes)
    changes.removed["old"] = b"y"
    changes.replaced[1] = Put(b"1!", b"1")
    parted.here.copies.forget(KEY)  # as when it has to make room
    await parted.part()
    assert (await commit(parted.here, changes)).status == "committed"
    assert (await load(parted.here)).fields == {"step": b"b", "topic": b"x"}
    await parted.join()
    stored = await both(parted)
    assert (values(stored), stored.fields) == ([b"1!"], {"step": b"b", "topic": b"x"})
    assert parted.conflicts == 0


async def test_what_rests_on_a_deleted_conversation_does_not_come_into_its_successor(
    parted: Parted,
) -> None:
    late = resting_on(await turn(parted, b"old"), appends(0, b"late"))
    await parted.here.delete(KEY, TIMEOUT)
    anew = appends(0, b"new")
    anew.revive = True
    beside = resting_on(await commit(parted.here, anew), appends(0, b"more"))
    await load(parted.here)
    await parted.part()
    assert (await commit(parted.here, late)).status == "gone"
    assert (await commit(parted.here, beside)).status == "committed"
    await parted.join()
    assert values(await both(parted)) == [b"new", b"more"]


@pytest.mark.parametrize("edits", [False, True])
async def test_replies_in_another_order_than_their_commits_leave_a_copy_in_the_order_of_these(
    process: Process, monkeypatch: pytest.MonkeyPatch, edits: bool
) -> None:
    first = await commit(process.backend, puts(0, step=(None, b"a"), gone=(None, b"x")))
    write = process.guard.commit
    third = resting_on(first, puts(0, step=(b"b", b"c")))
    third.appended = [b"3"]

    async def overtaken(key: str, changes: Changes, timeout: float) -> Outcome:
        monkeypatch.undo()
        outcome = await write(key, changes, timeout)
        await commit(process.backend, third)
        return outcome

    second = resting_on(first, puts(0, step=(b"a", b"b"), late=(None, b"y")))
    second.appended, second.removed = [b"1", b"2"], {"gone": b"x"}
    second.dropped = [99] if edits else []
    monkeypatch.setattr(process.guard, "commit", overtaken)
    assert (await commit(process.backend, second)).version == 2
    await process.lose()
    if not edits:
        assert (await commit(process.backend, third)).version == 3  # it is known, and comes again
    snapshot = await load(process.backend)
    if edits:  # what is there now cannot be told
        assert not snapshot.version
        return
    assert (values(snapshot), snapshot.version) == ([b"1", b"2", b"3"], 3)
    assert snapshot.fields == {"step": b"c", "late": b"y"}
    await commit(process.backend, resting_on(snapshot, appends(0, b"4")))
    numbers = list((await load(process.backend)).messages.numbers)
    assert sorted(set(numbers)) == numbers


async def test_what_is_created_anew_does_not_follow_what_was_there_before(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(process.backend, appends(0, b"old"))
    copied = process.backend.copies
    seen = await load(process.backend)
    await process.backend.delete(KEY, TIMEOUT)
    copied.memory(KEY).keep(KEY, seen)  # as in a process that has not heard of the delete
    anew = appends(0, b"new")
    anew.revive = True
    await commit(process.backend, anew)
    await process.lose()
    assert values(await load(process.backend)) == [b"new"]
