"""What waits is coalesced, bounded and taken in order."""

import asyncio

import pytest

from jv_session_mw.errors import TrackerUnavailable
from jv_session_mw.tracking.activity import Details
from jv_session_mw.tracking.keys import Key
from jv_session_mw.tracking.pending import MOST_SNAPSHOT_BYTES
from jv_session_mw.tracking.snapshot import SessionSnapshot
from jv_session_mw.tracking.write_behind import WriteBehind
from tests.tracking.writing import AWAY, Database, behind, note


@pytest.fixture
async def database() -> Database:
    return Database()


async def test_many_turns_of_a_session_are_one_item(database: Database) -> None:
    writer = behind(database)
    for _ in range(30):
        note(writer, "a")
    note(writer, "b")
    assert writer.stats.pending == 2
    await writer.drain()
    assert database.counts == {"a": 30, "b": 1}
    assert database.sizes == [2]
    assert (writer.stats.pending, writer.stats.flushed) == (0, 2)


async def test_no_batch_is_larger_than_its_limit(database: Database) -> None:
    writer = behind(database)
    for n in range(25):
        note(writer, f"s{n}")
    await writer.drain()
    assert database.sizes == [10, 10, 5]


async def test_there_is_a_bound_and_known_sessions_still_count(database: Database) -> None:
    writer = behind(database, most=3)
    assert [note(writer, id) for id in "abcda"] == [True, True, True, False, True]
    stats = writer.stats
    assert (stats.pending, stats.dropped) == (3, 1)
    database.may_answer.clear()
    draining = asyncio.create_task(writer.drain())
    await database.waits.wait()
    assert not note(writer, "e")  # what is on its way takes its room
    database.may_answer.set()
    await draining
    assert note(writer, "e")
    assert database.counts == {"a": 2, "b": 1, "c": 1}


async def test_a_session_that_is_on_its_way_or_moves_is_known(database: Database) -> None:
    writer = behind(database, most=3)
    for id in "abc":
        note(writer, id)
    assert note(writer, "moved", 0, Details(was=(("", "a"),)))
    database.failures = [AWAY]
    with pytest.raises(TrackerUnavailable):
        await writer.drain()
    assert [note(writer, id) for id in "bcd"] == [True, True, False]
    await writer.drain()
    assert database.counts == {"moved": 1, "b": 2, "c": 2}


async def test_one_session_is_written_before_the_others(database: Database) -> None:
    writer = behind(database)
    for n in range(30):
        note(writer, f"s{n}")
    await writer.drain(lambda key: key == ("", "s20"))
    assert database.counts == {"s20": 1}
    assert writer.stats.pending == 29


async def test_who_waits_for_one_that_fails_fails_with_it_and_sends_nothing(
    database: Database,
) -> None:
    writer = behind(database)
    database.failures = [AWAY] * 8
    database.may_answer.clear()
    waiting: list[asyncio.Task[None]] = []
    for n in range(8):
        note(writer, f"s{n}")
        waiting.append(asyncio.create_task(writer.drain({("", f"s{n}")}.__contains__)))
    await database.waits.wait()
    database.may_answer.set()
    assert await asyncio.gather(*waiting, return_exceptions=True) == [AWAY] * 8
    assert database.sizes == [1]
    database.failures.clear()
    await writer.drain(lambda noted: noted == ("", "s7"))
    await writer.drain()
    assert database.sizes == [1, 1, 1, 6]


async def test_a_move_waits_for_what_was_noted_under_the_old_key(database: Database) -> None:
    writer = behind(database)
    note(writer, "old")
    database.failures = [AWAY]
    with pytest.raises(TrackerUnavailable):
        await writer.drain()
    note(writer, "new", 1, Details(was=(("", "old"),)))
    await writer.drain(lambda key: key == ("", "new"))
    assert list(database.counts) == ["old", "new"]


async def test_snapshots_take_no_more_than_their_room(database: Database) -> None:
    writer = behind(database, most=10_000)
    large = SessionSnapshot({"a": b"x" * 2**20}, [])
    for _ in range(3):
        for n in range(64):
            note(writer, f"s{n}", details=Details(snapshot=large))
    kept = [id for id in range(64) if _snapshot(writer, ("", f"s{id}"))]
    assert len(kept) == MOST_SNAPSHOT_BYTES // 2**20
    await writer.drain()
    assert len(database.counts) == 64
    assert len(database.sizes) > 30  # one of them fills a batch
    note(writer, "s63", details=Details(snapshot=large))
    assert _snapshot(writer, ("", "s63"))


def _snapshot(writer: WriteBehind, key: Key) -> SessionSnapshot | None:
    details = writer._pending.noted[key].details  # pyright: ignore[reportPrivateUsage]
    assert details is not None
    return details.snapshot


async def test_nothing_happens_after_the_end(database: Database) -> None:
    writer = behind(database)
    note(writer, "a")
    note(writer, "a", 0, Details(ended="deleted"))
    note(writer, "a", 5)
    await writer.drain()
    assert database.counts == {"a": 1}


async def test_what_is_archived_may_be_deleted_and_never_the_other_way(database: Database) -> None:
    writer = behind(database)
    for id, ends in (("a", ["archived", "deleted"]), ("b", ["deleted", "archived"])):
        for end in ends:
            note(writer, id, 0, Details(ended=end))
    for activity in writer._pending.noted.values():  # pyright: ignore[reportPrivateUsage]
        assert activity.details is not None
        assert activity.details.ended == "deleted"
