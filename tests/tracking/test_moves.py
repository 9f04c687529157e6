"""A session that has moved is one session, whatever was noted under which key, and when."""

import pytest

from jv_session_mw.errors import SessionNotFound
from jv_session_mw.tracking import SessionTracker
from tests.gateway import Gateway
from tests.projects import Database
from tests.tracking.conftest import supabase
from tests.tracking.sessions import ALICE, EVERY, KEPT, begun


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


async def only_session(tracker: SessionTracker, owner: str | None) -> tuple[str, str, int]:
    (session,) = (await tracker.list(owner=owner, status=EVERY)).sessions
    return session.id, session.title, session.message_count


async def test_a_first_write_that_comes_after_the_move_is_that_of_the_session(
    tracker: SessionTracker,
) -> None:
    """As when the process of the first turn writes later than the one that rotated."""
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    await tracker.flush()
    tracker.touch("visit", owner=None, messages=2, title="hello")
    await tracker.flush()
    tracker.touch("s", owner=ALICE, messages=2)
    assert await only_session(tracker, ALICE) == ("s", "hello", 4)
    assert tracker.stats.refused == 0


async def test_what_moves_twice_before_it_is_written_leaves_nothing_on_its_way(
    tracker: SessionTracker,
) -> None:
    """As when another process has written in between under the second key."""
    await begun(tracker, "a")
    tracker.touch("b", owner=ALICE, messages=2)
    await tracker.flush()
    tracker.moved("b", owner=ALICE, was="a", was_owner=ALICE)
    tracker.moved("c", owner=ALICE, was="b", was_owner=ALICE)
    assert await only_session(tracker, ALICE) == ("c", "A flight to Rome", 4)


@pytest.mark.parametrize("moves", [["ab", "bc"], ["bc", "ab"]])
async def test_moves_lead_to_the_last_key_in_whatever_order_they_are_written(
    tracker: SessionTracker, moves: list[str]
) -> None:
    await begun(tracker, "a")
    for move in moves:
        tracker.moved(move[1], owner=ALICE, was=move[0], was_owner=ALICE)
        await tracker.flush()
    for id in "abc":
        tracker.touch(id, owner=ALICE, messages=1)
    await tracker.flush()
    assert await only_session(tracker, ALICE) == ("c", "A flight to Rome", 5)


async def test_what_was_noted_under_both_keys_is_written_in_one_batch(
    tracker: SessionTracker,
) -> None:
    await tracker.flush()
    tracker.touch("new", owner=ALICE, messages=1)
    tracker.touch("old", owner=ALICE, messages=2, title="hello")
    tracker.moved("new", owner=ALICE, was="old", was_owner=ALICE)
    await tracker.flush()
    assert await only_session(tracker, ALICE) == ("new", "hello", 3)


async def test_what_was_deleted_is_not_begun_by_what_comes_under_an_older_key(
    tracker: SessionTracker,
) -> None:
    await begun(tracker, "visit", None)
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    assert await tracker.delete("s", owner=ALICE)
    tracker.touch("visit", owner=None, messages=1)
    await tracker.flush()
    for owner in (ALICE, None):
        assert (await tracker.list(owner=owner, status=EVERY)).sessions == ()
    assert tracker.stats.refused == 1


async def test_a_session_is_begun_anew_under_a_key_that_was_left(tracker: SessionTracker) -> None:
    await begun(tracker, "a")
    tracker.moved("b", owner=ALICE, was="a", was_owner=ALICE)
    await tracker.create("a", owner=ALICE, title="another")
    tracker.touch("a", owner=ALICE, messages=1)
    session = await tracker.get("a", owner=ALICE)
    assert (session.title, session.message_count) == ("another", 1)
    assert (await tracker.get("b", owner=ALICE)).message_count == 2


async def test_what_ends_under_a_key_that_was_left_begins_no_session(
    tracker: SessionTracker,
) -> None:
    await begun(tracker, "visit", None)
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    await tracker.flush()
    tracker.touch("visit", owner=None, messages=1)
    tracker.ended("visit", owner=None, status="archived")
    await tracker.flush()
    assert (await tracker.list(owner=None, status=EVERY)).sessions == ()
    assert await only_session(tracker, ALICE) == ("s", "A flight to Rome", 2)


@pytest.mark.parametrize("how", ["delete", "delete_owner", "ended"])
async def test_no_table_names_who_was_deleted(
    gateway: Gateway, database: Database, how: str
) -> None:
    tracker = supabase(gateway)
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    await begun(tracker)
    if how == "delete":
        await tracker.delete("s", owner=ALICE)
    elif how == "delete_owner":
        await tracker.delete_owner(ALICE)
    else:
        tracker.ended("s", owner=ALICE, status="deleted")
        await tracker.flush()
    assert await database.fetchval("select count(*) from public.chat_session_moves") == 0
    tracker.touch("visit", owner=None, messages=1)
    await tracker.flush()
    assert tracker.stats.refused == 1
    await tracker.close()
