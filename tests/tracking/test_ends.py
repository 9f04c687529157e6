"""What is deleted stays deleted, and an end is noted."""

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
