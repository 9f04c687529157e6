"""What every tracker does, in memory and on a real PostgreSQL through the real client."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from jv_session_mw.errors import (
    SessionNotFound,
    UnsupportedValue,
)
from jv_session_mw.tracking import (
    SessionSnapshot,
    SessionTracker,
)
from tests.tracking.sessions import ALICE, EVERY, KEPT, MALLORY, VERBS, begun


async def test_activity_creates_a_session_and_counts(tracker: SessionTracker) -> None:
    first = await begun(tracker)
    assert (first.status, first.title, first.message_count) == ("active", "A flight to Rome", 2)
    assert (first.owner, first.kind, first.step, first.refs, first.ended_at) == (
        ALICE, "", "", {}, None,
    )  # fmt: skip
    tracker.touch("s", owner=ALICE, messages=2, title="Another", step="searching", kind="booking")
    tracker.touch("s", owner=ALICE, messages=1, refs={"trip": "T1"}, counters={"quotes": 2})
    tracker.touch(
        "s", owner=ALICE, refs={"trip": "T2", "lead": "L"}, counters={"quotes": 1, "n": 1}
    )
    second = await tracker.get("s", owner=ALICE)
    assert (second.title, second.message_count) == ("A flight to Rome", 5)
    assert (second.step, second.kind) == ("searching", "booking")
    assert second.refs == {"trip": "T2", "lead": "L"}
    assert second.counters == {"quotes": 3, "n": 1}
    assert second.started_at == first.started_at
    assert second.last_activity_at > first.last_activity_at
    tracker.touch("s", owner=ALICE, messages=-1, refs={"lead": None})
    third = await tracker.get("s", owner=ALICE)
    assert (third.message_count, third.refs) == (4, {"trip": "T2"})
    tracker.touch("s", owner=ALICE, messages=-9)
    assert (await tracker.get("s", owner=ALICE)).message_count == 0


async def test_the_first_words_are_the_title_and_a_rename_stays(tracker: SessionTracker) -> None:
    tracker.touch("s", owner=ALICE, messages=1)
    assert (await tracker.get("s", owner=ALICE)).title == ""
    tracker.touch("s", owner=ALICE, messages=1, title=f"  To\nRome,  {'please ' * 40}")
    title = (await tracker.get("s", owner=ALICE)).title
    assert title.startswith("To Rome, please please")
    assert len(title) <= 80
    assert title.endswith("…")
    await tracker.rename("s", "Rome", owner=ALICE)
    tracker.touch("s", owner=ALICE, messages=1, title="To Paris")
    assert (await tracker.get("s", owner=ALICE)).title == "Rome"


async def test_what_shows_nothing_is_no_title(tracker: SessionTracker) -> None:
    tracker.touch("s", owner=ALICE, messages=1, title=" \n ")
    tracker.touch("s", owner=ALICE, messages=1, title="A flight to Rome")
    assert (await tracker.get("s", owner=ALICE)).title == "A flight to Rome"


async def test_create_is_update_for_what_is_there(tracker: SessionTracker) -> None:
    created = await tracker.create("s", owner=ALICE, kind="booking", refs={"trip": "T1"})
    assert (created.message_count, created.kind, created.refs) == (0, "booking", {"trip": "T1"})
    await tracker.pause("s", owner=ALICE)
    again = await tracker.create("s", owner=ALICE, step="searching")
    assert (again.kind, again.step, again.status) == ("booking", "searching", "paused")
    assert again.started_at == created.started_at


async def test_what_is_not_given_stays_as_it_is(tracker: SessionTracker) -> None:
    await tracker.create("s", owner=ALICE, title="t", kind="k", step="s", refs={"a": "1"})
    changed = await tracker.update("s", owner=ALICE, refs={"b": "2"})
    assert (changed.title, changed.kind, changed.step) == ("t", "k", "s")
    assert changed.refs == {"a": "1", "b": "2"}
    changed = await tracker.update("s", owner=ALICE, step="", refs={"a": None})
    assert (changed.step, changed.refs) == ("", {"b": "2"})


async def test_an_event_counts_once_for_its_id(tracker: SessionTracker) -> None:
    await begun(tracker)

    async def quote(id: str) -> bool:
        return await tracker.record(
            "s", id, owner=ALICE, counters={"quotes": 1}, step="quoted", refs={"quote": "Q"}
        )

    outcomes = await asyncio.gather(*(quote(f"q{n % 25}") for n in range(50)))
    assert sorted(outcomes) == [False] * 25 + [True] * 25
    session = await tracker.get("s", owner=ALICE)
    assert (session.counters, session.step, session.refs) == (
        {"quotes": 25},
        "quoted",
        {"quote": "Q"},
    )
    with pytest.raises(SessionNotFound):
        await tracker.record("none", "q", owner=ALICE, counters={"quotes": 1})


async def test_another_owner_finds_nothing_and_changes_nothing(tracker: SessionTracker) -> None:
    before = await begun(tracker)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: tracker.get("s", owner=MALLORY),
        lambda: tracker.update("s", owner=MALLORY, title="mine"),
        lambda: tracker.rename("s", "mine", owner=MALLORY),
        lambda: tracker.record("s", "q", owner=MALLORY, counters={"quotes": 1}),
        *(lambda verb=verb: getattr(tracker, verb)("s", owner=MALLORY) for verb in VERBS),
        lambda: tracker.get("s", owner=None),
    ]
    for attempt in attempts:
        with pytest.raises(SessionNotFound):
            await attempt()
    assert (await tracker.list(owner=MALLORY, status=EVERY)).sessions == ()
    assert await tracker.get_active(owner=MALLORY) is None
    tracker.touch("s", owner=MALLORY, messages=9, title="theirs")
    await tracker.flush()
    assert await tracker.get("s", owner=ALICE) == before
    assert (await tracker.get("s", owner=MALLORY)).message_count == 9
    assert await tracker.delete_owner(MALLORY) == ["s"]
    assert await tracker.delete("s", owner=MALLORY) is False
    assert await tracker.get("s", owner=ALICE) == before


async def test_one_without_an_owner_belongs_to_nobody(tracker: SessionTracker) -> None:
    session = await begun(tracker, owner=None)
    assert session.owner is None
    with pytest.raises(SessionNotFound):
        await tracker.get("s", owner=ALICE)
    with pytest.raises(UnsupportedValue, match="owner"):
        await tracker.get("s", owner="")
    with pytest.raises(UnsupportedValue, match="whose"):
        await tracker.delete_owner(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "50 %", "é%00", ""])
async def test_a_snapshot_may_have_fields_of_any_name(tracker: SessionTracker, name: str) -> None:
    kept = SessionSnapshot({name: b"1"}, [])
    tracker.touch("s", owner=ALICE, messages=2, snapshot=kept)
    assert await tracker.snapshot("s", owner=ALICE) == kept
    assert (await tracker.get("s", owner=ALICE)).message_count == 2


async def test_a_snapshot_comes_back_as_it_was(tracker: SessionTracker) -> None:
    tracker.touch("s", owner=ALICE, messages=1, snapshot=SessionSnapshot({}, []))
    tracker.touch("s", owner=ALICE, messages=1, snapshot=KEPT)
    assert await tracker.snapshot("s", owner=ALICE) == KEPT
    assert await tracker.snapshot("s", owner=MALLORY) is None
    await tracker.archive("s", owner=ALICE)
    assert await tracker.snapshot("s", owner=ALICE) == KEPT
    await tracker.delete("s", owner=ALICE)
    assert await tracker.snapshot("s", owner=ALICE) is None


async def test_a_read_sees_what_was_noted_before_it(tracker: SessionTracker) -> None:
    for n in range(5):
        tracker.touch(f"s{n}", owner=ALICE, messages=1)
    assert len((await tracker.list(owner=ALICE)).sessions) == 5
    tracker.touch("s1", owner=ALICE, messages=1)
    assert (await tracker.pause("s1", owner=ALICE)).message_count == 2


async def test_fifty_at_once_are_counted_exactly(tracker: SessionTracker) -> None:
    await begun(tracker)

    async def turn() -> None:
        tracker.touch("s", owner=ALICE, messages=1, counters={"n": 1})
        await tracker.flush()

    await asyncio.gather(*(turn() for _ in range(50)))
    session = await tracker.get("s", owner=ALICE)
    assert (session.message_count, session.counters) == (52, {"n": 50})
