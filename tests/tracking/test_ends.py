"""What is deleted stays deleted, and what is moved is one session."""

import pytest

from jv_session_mw.errors import (
    SessionNotFound,
)
from jv_session_mw.tracking import (
    SessionTracker,
)
from tests.tracking.sessions import ALICE, EVERY, KEPT, begun


async def test_deleted_stays_deleted(tracker: SessionTracker) -> None:
    await begun(tracker)
    assert await tracker.delete("s", owner=ALICE) is True
    assert await tracker.delete("s", owner=ALICE) is False
    tracker.touch("s", owner=ALICE, messages=1)
    with pytest.raises(SessionNotFound):
        await tracker.get("s", owner=ALICE)
    assert tracker.stats.refused == 1
    created = await tracker.create("s", owner=ALICE)
    assert created.message_count == 0
    assert await tracker.record("s", "q1", owner=ALICE, counters={"quotes": 1})


async def test_all_of_an_owner_is_deleted(tracker: SessionTracker) -> None:
    for id in ("a", "b"):
        await begun(tracker, id)
    await begun(tracker, "a", "bob")
    tracker.touch("c", owner=ALICE, messages=1)
    assert await tracker.delete_owner(ALICE) == ["a", "b", "c"]
    tracker.touch("a", owner=ALICE, messages=1)
    await tracker.flush()
    assert (await tracker.list(owner=ALICE, status=EVERY)).sessions == ()
    assert (await tracker.get("a", owner="bob")).message_count == 2
    tracker.touch("new", owner=ALICE, messages=1)
    assert (await tracker.get("new", owner=ALICE)).message_count == 1


async def test_a_sweep_archives_and_deletes_what_is_idle(tracker: SessionTracker) -> None:
    await begun(tracker, "idle")
    await begun(tracker, "over")
    await tracker.complete("over", owner=ALICE)
    assert await tracker.sweep(archive_after=3600, delete_after=3600) == (await tracker.sweep())
    swept = await tracker.sweep(pause_after=0)
    assert (swept.paused, swept.archived, swept.deleted) == (1, 0, 0)
    swept = await tracker.sweep(archive_after=0)
    assert (swept.paused, swept.archived, swept.deleted) == (0, 1, 0)
    assert (await tracker.get("idle", owner=ALICE)).status == "archived"
    swept = await tracker.sweep(delete_after=0)
    assert (swept.paused, swept.archived, swept.deleted) == (0, 0, 2)
    tracker.touch("idle", owner=ALICE, messages=1)
    await tracker.flush()
    assert (await tracker.list(owner=ALICE, status=EVERY)).sessions == ()


async def test_a_sweep_sees_what_was_noted_before_it(tracker: SessionTracker) -> None:
    await begun(tracker)
    tracker.touch("new", owner=ALICE, messages=1)
    await tracker.sweep(delete_after=3600)
    assert tracker.stats.pending == 0
    assert (await tracker.get("new", owner=ALICE)).status == "active"


async def test_a_conversation_that_moves_takes_its_session_along(tracker: SessionTracker) -> None:
    before = await begun(tracker, "visit", None)
    await tracker.record("visit", "q1", owner=None, counters={"quotes": 1})
    tracker.touch("visit", owner=None, messages=1)  # not written yet
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    tracker.touch("s", owner=ALICE, messages=2)
    after = await tracker.get("s", owner=ALICE)
    assert (after.title, after.message_count) == (before.title, 5)
    assert after.started_at == before.started_at
    assert await tracker.record("s", "q1", owner=ALICE, counters={"quotes": 1}) is False
    tracker.touch("visit", owner=None, messages=1)  # of a request that was still under way
    with pytest.raises(SessionNotFound):
        await tracker.get("visit", owner=None)


async def test_what_has_begun_under_a_new_key_is_joined_by_what_moves_there(
    tracker: SessionTracker,
) -> None:
    """As when another process writes the turn after a login before this one writes the login."""
    before = await begun(tracker, "visit", None)
    await tracker.record("visit", "q1", owner=None, counters={"quotes": 1})
    tracker.touch("visit", owner=None, step="searching", refs={"a": "1", "b": "1"}, snapshot=KEPT)
    await tracker.pause("visit", owner=None)
    tracker.touch("s", owner=ALICE, messages=2, step="booking", refs={"b": "2"})
    await tracker.record("s", "q2", owner=ALICE, counters={"quotes": 1})
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    after = await tracker.get("s", owner=ALICE)
    assert (after.status, after.title, after.message_count) == ("paused", before.title, 4)
    assert (after.step, after.refs, after.counters) == (
        "booking",
        {"a": "1", "b": "2"},
        {"quotes": 2},
    )
    assert after.started_at == before.started_at
    for event in ("q1", "q2"):
        assert not await tracker.record("s", event, owner=ALICE, counters={"quotes": 1})
    assert await tracker.snapshot("s", owner=ALICE) == KEPT
    assert (await tracker.list(owner=None, status=EVERY)).sessions == ()


async def test_what_was_deleted_is_not_brought_back_by_a_move(tracker: SessionTracker) -> None:
    await begun(tracker, "visit", None)
    tracker.ended("s", owner=ALICE, status="deleted")
    await tracker.flush()
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    for owner in (ALICE, None):
        assert (await tracker.list(owner=owner, status=EVERY)).sessions == ()


async def test_the_end_of_what_has_moved_is_not_that_of_the_new_one(
    tracker: SessionTracker,
) -> None:
    """As when one request deletes what another one moves at that moment."""
    await begun(tracker)
    tracker.ended("s", owner=ALICE, status="deleted")
    tracker.moved("new", owner=ALICE, was="s", was_owner=ALICE)
    tracker.touch("new", owner=ALICE, messages=1)
    (session,) = (await tracker.list(owner=ALICE, status=EVERY)).sessions
    assert (session.id, session.status) == ("new", "active")


async def test_a_move_to_where_it_is_changes_nothing(tracker: SessionTracker) -> None:
    before = await begun(tracker)
    tracker.moved("s", owner=ALICE, was="s", was_owner=ALICE)
    assert await tracker.get("s", owner=ALICE) == before


async def test_a_move_before_the_first_write_is_seen_as_one_session(
    tracker: SessionTracker,
) -> None:
    tracker.touch("visit", owner=None, messages=1, title="hello")
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    session = await tracker.get("s", owner=ALICE)
    assert (session.title, session.message_count) == ("hello", 1)
    assert (await tracker.list(owner=None, status=EVERY)).sessions == ()


async def test_what_was_moved_is_no_longer_found_by_its_old_key(tracker: SessionTracker) -> None:
    await begun(tracker)
    tracker.moved("t", owner="bob", was="s", was_owner=ALICE)
    with pytest.raises(SessionNotFound):
        await tracker.get("s", owner=ALICE)
    await begun(tracker, "other")
    tracker.moved("u", owner="bob", was="other", was_owner=ALICE)
    assert await tracker.delete_owner(ALICE) == []
    moved = await tracker.list(owner="bob")
    assert {session.id for session in moved.sessions} == {"t", "u"}


@pytest.mark.parametrize("status", ["archived", "deleted"])
async def test_the_end_of_a_conversation_is_noted(tracker: SessionTracker, status: str) -> None:
    await begun(tracker)
    tracker.touch("s", owner=ALICE, messages=1, snapshot=KEPT)
    await tracker.flush()
    tracker.touch("s", owner=ALICE, messages=1)
    tracker.ended("s", owner=ALICE, status=status)  # type: ignore[arg-type]
    tracker.touch("s", owner=ALICE, messages=1)
    await tracker.flush()
    assert await tracker.snapshot("s", owner=ALICE) is None
    if status == "archived":
        session = await tracker.get("s", owner=ALICE)
        assert (session.status, session.message_count) == ("archived", 4)
        assert session.ended_at is not None
    else:
        assert (await tracker.list(owner=ALICE, status=EVERY)).sessions == ()
        tracker.touch("s", owner=ALICE, messages=1)
        with pytest.raises(SessionNotFound):
            await tracker.get("s", owner=ALICE)


async def test_an_end_of_another_kind_is_refused(tracker: SessionTracker) -> None:
    before = await begun(tracker)
    assert tracker.ended("s", owner=ALICE, status="closed_won") is False  # type: ignore[arg-type]
    assert tracker.stats.dropped == 1
    assert await tracker.get("s", owner=ALICE) == before


async def test_the_end_of_what_was_never_written_makes_no_session(tracker: SessionTracker) -> None:
    tracker.ended("s", owner=ALICE, status="archived")
    await tracker.flush()
    assert (await tracker.list(owner=ALICE, status=EVERY)).sessions == ()
    tracker.touch("s", owner=ALICE, messages=1)  # of a process that writes later
    assert (await tracker.list(owner=ALICE, status=EVERY)).sessions == ()
