"""A sequence number is one message's for ever, whoever has given it and whatever comes back."""

import asyncio

import pytest

from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.changes import Changes, Outcome, Put, Snapshot
from jv_session_mw.errors import StoreUnavailable
from tests.backends.harness import KEY, appends, commit, commit_id, load, values
from tests.backends.outage import Process
from tests.backends.parted import Parted, both, resting_on, turn


def edits(number: int, before: bytes, after: bytes) -> Changes:
    return Changes(commit_id(), 0, replaced={number: Put(after, before)})


async def test_a_request_that_outlives_a_replay_edits_its_own_message_again_and_again(
    parted: Parted,
) -> None:
    await turn(parted, b"1")
    await parted.part()
    held = await turn(parted, b"mine")
    await commit(parted.elsewhere, appends(1, b"theirs"))
    await parted.join()
    for before, after in [(b"mine", b"mine!"), (b"mine!", b"mine!!")]:
        changes = resting_on(held, edits(held.first_seq, before, after))
        changes.birth = held.birth
        outcome = await commit(parted.here, changes)
        assert (outcome.status, outcome.birth) == ("committed", held.birth)
    assert values(await both(parted)) == [b"1", b"theirs", b"mine!!"]


async def test_a_request_over_two_outages_edits_its_own_messages(parted: Parted) -> None:
    await turn(parted, b"1")
    await parted.part()
    held = await turn(parted, b"mine")
    await commit(parted.elsewhere, appends(1, b"theirs"))
    await parted.join()
    between = resting_on(held, appends(0, b"between"))
    held_between = await commit(parted.here, between)
    await load(parted.here)
    await parted.part()
    during = await commit(
        parted.here, resting_on(held_between, edits(held.first_seq, b"mine", b"mine!"))
    )
    assert during.status == "committed"
    again = edits(held.first_seq, b"mine!", b"mine!!")
    again.dropped = [held_between.first_seq]
    assert (await commit(parted.here, resting_on(during, again))).conflicts == []
    assert values(await load(parted.here)) == [b"1", b"theirs", b"mine!!"]
    await parted.join()
    assert values(await both(parted)) == [b"1", b"theirs", b"mine!!"]


@pytest.mark.parametrize("is_cleared", [False, True])
async def test_memory_gives_no_number_that_a_dropped_message_had(
    process: Process, is_cleared: bool
) -> None:
    stored = await commit(process.backend, appends(0, b"1", b"2", b"3"))
    slow = await load(process.backend)
    drop = Changes(commit_id(), 0, dropped=[] if is_cleared else [3], cleared=3 * is_cleared)
    await commit(process.backend, resting_on(stored, drop))
    left = values(await load(process.backend))
    await process.lose()
    new = await commit(process.backend, resting_on(slow, appends(0, b"new")))
    assert new.first_seq > ELSEWHERE
    late = Changes(commit_id(), 0, dropped=drop.dropped, cleared=drop.cleared)
    await commit(process.backend, resting_on(slow, late))
    assert values(await load(process.backend)) == [*left, b"new"]


async def test_what_rests_on_the_store_meets_its_own_message_in_memory_and_after_it(
    parted: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await commit(parted.elsewhere, appends(0, b"1", b"2"))
    known = Snapshot(version=stored.version, birth=stored.birth)
    await parted.part()
    begun = await commit(parted.here, resting_on(known, appends(0, b"3")))
    await commit(parted.here, resting_on(begun, appends(0, b"4")))
    write, is_away_again = parted.guard.commit, asyncio.Event()
    replayed: list[Outcome] = []

    async def only_the_first(key: str, changes: Changes, timeout: float) -> Outcome:
        if replayed:
            is_away_again.set()
            raise StoreUnavailable("away again", reason="connection")
        replayed.append(await write(key, changes, timeout))
        return replayed[0]

    with monkeypatch.context() as patch:
        patch.setattr(parted.guard, "commit", only_the_first)
        parted.proxy.join()
        await is_away_again.wait()
        changes = edits(replayed[0].first_seq, b"3", b"3!")
        changes.dropped = [1]
        late = await commit(parted.here, resting_on(known, changes))
        assert (late.status, late.conflicts) == ("committed", [])
        assert values(await load(parted.here)) == [b"3!", b"4"]
    await parted.join()
    assert values(await both(parted)) == [b"2", b"3!", b"4"]
    assert KEY not in parted.here.kept


async def test_what_a_server_has_lost_is_not_met_by_what_it_is_given_anew(parted: Parted) -> None:
    first = await turn(parted, b"1", b"2")
    await commit(parted.here, resting_on(first, Changes(commit_id(), 0, dropped=[1])))
    await parted.part()
    during = await turn(parted, b"3")
    parted.server.flush()
    await parted.join()
    await commit(parted.here, resting_on(during, Changes(commit_id(), 0, dropped=[1])))
    assert values(await both(parted)) == [b"2", b"3"]
