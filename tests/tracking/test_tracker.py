"""What every tracker does, in memory and on a real PostgreSQL through the real client."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from jv_session_mw.errors import (
    InvalidTransition,
    SessionNotFound,
    UnsupportedValue,
)
from jv_session_mw.tracking import (
    ENDED,
    LIVE,
    ChatSession,
    SessionSnapshot,
    SessionStatus,
    SessionTracker,
)

ALICE, MALLORY = "alice", "mallory"
EVERY = LIVE | ENDED
KEPT = SessionSnapshot({"a": b"\0\1\xff"}, [b"\0", b"{}"])
Step = Callable[..., Awaitable[ChatSession]]


async def begun(tracker: SessionTracker, id: str = "s", owner: str | None = ALICE) -> ChatSession:
    assert tracker.touch(id, owner=owner, messages=2, title="A flight to Rome")
    return await tracker.get(id, owner=owner)


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


# Each verb, and the statuses from which it leads to which.
VERBS: dict[str, tuple[str, frozenset[str]]] = {
    "pause": ("paused", frozenset({"active"})),
    "resume": ("active", frozenset({"paused"})),
    "complete": ("completed", frozenset({"active", "paused"})),
    "archive": ("archived", frozenset({"active", "paused", "completed"})),
    "reopen": ("active", frozenset({"completed", "archived"})),
}
WAYS: dict[str, list[str]] = {
    "active": [],
    "paused": ["pause"],
    "completed": ["complete"],
    "archived": ["archive"],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", WAYS)
async def test_each_transition_leads_only_from_where_it_may(
    tracker: SessionTracker, status: str, verb: str
) -> None:
    await begun(tracker)
    for way in WAYS[status]:
        await getattr(tracker, way)("s", owner=ALICE)
    before = await tracker.get("s", owner=ALICE)
    assert before.status == status
    to, origins = VERBS[verb]
    if status in origins or status == to:
        after = await getattr(tracker, verb)("s", owner=ALICE)
        assert after.status == to
        assert (after.ended_at is not None) == (to in ("completed", "archived"))
        assert after == await tracker.get("s", owner=ALICE)
        return
    with pytest.raises(InvalidTransition) as caught:
        await getattr(tracker, verb)("s", owner=ALICE)
    assert caught.value.status == status
    assert await tracker.get("s", owner=ALICE) == before


async def test_of_two_transitions_that_exclude_each_other_one_is_refused(
    tracker: SessionTracker,
) -> None:
    await begun(tracker)
    await tracker.pause("s", owner=ALICE)
    outcomes = await asyncio.gather(
        *(tracker.resume("s", owner=ALICE) for _ in range(5)),
        *(tracker.archive("s", owner=ALICE) for _ in range(5)),
        return_exceptions=True,
    )
    assert (await tracker.get("s", owner=ALICE)).status == "archived"
    assert all(isinstance(outcome, (ChatSession, InvalidTransition)) for outcome in outcomes), (
        outcomes
    )
    assert [type(outcome) for outcome in outcomes[5:]] == [ChatSession] * 5


async def test_activity_changes_no_status_and_revives_nothing(tracker: SessionTracker) -> None:
    await begun(tracker)
    await tracker.pause("s", owner=ALICE)
    tracker.touch("s", owner=ALICE, messages=2)
    paused = await tracker.get("s", owner=ALICE)
    assert (paused.status, paused.message_count) == ("paused", 4)
    ended = await tracker.complete("s", owner=ALICE)
    tracker.touch("s", owner=ALICE, messages=2, step="proposal")
    assert await tracker.get("s", owner=ALICE) == ended
    assert tracker.stats.refused == 1
    reopened = await tracker.reopen("s", owner=ALICE)
    assert (reopened.status, reopened.ended_at) == ("active", None)


async def test_of_one_that_has_ended_only_the_title_can_be_changed(
    tracker: SessionTracker,
) -> None:
    await begun(tracker)
    await tracker.archive("s", owner=ALICE)
    with pytest.raises(InvalidTransition, match="archived"):
        await tracker.update("s", owner=ALICE, title="Rome", step="late")
    assert (await tracker.rename("s", "Rome", owner=ALICE)).title == "Rome"
    with pytest.raises(InvalidTransition):
        await tracker.record("s", "q1", owner=ALICE, counters={"quotes": 1})


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


async def test_a_listing_has_pages_and_an_order(tracker: SessionTracker) -> None:
    for n in range(25):
        tracker.touch(f"s{n:02}", owner=ALICE, messages=1)
        if n % 5 == 4:
            await tracker.flush()  # the sessions of one batch have times of their own all the same
    seen, cursor = list[str](), None
    while True:
        page = await tracker.list(owner=ALICE, limit=10, cursor=cursor)
        seen += [session.id for session in page.sessions]
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page.sessions) == 10
    assert sorted(seen) == [f"s{n:02}" for n in range(25)]
    whole = (await tracker.list(owner=ALICE, limit=200)).sessions
    assert [session.id for session in whole] == seen
    assert sorted(whole, key=lambda s: (s.last_activity_at, s.id), reverse=True) == list(whole)
    tracker.touch("s03", owner=ALICE, messages=1)
    newest = await tracker.get_active(owner=ALICE)
    assert newest is not None
    assert newest.id == "s03"


async def test_a_listing_is_narrowed(tracker: SessionTracker) -> None:
    await tracker.create("a", owner=ALICE, title="Rome in May", kind="trip", refs={"trip": "T1"})
    await tracker.create("b", owner=ALICE, title="100% * (off)", refs={"trip": "T1", "lead": "L"})
    await tracker.create("c", owner=ALICE, title="romeo", kind="trip", refs={"trip": "T2"})
    await tracker.archive("c", owner=ALICE)
    await tracker.pause("b", owner=ALICE)

    async def ids(**how: object) -> set[str]:
        page = await tracker.list(owner=ALICE, **how)  # type: ignore[arg-type]
        return {session.id for session in page.sessions}

    assert await ids() == {"a", "b"}
    assert await ids(status=EVERY) == {"a", "b", "c"}
    assert await ids(status=SessionStatus.PAUSED) == {"b"}
    assert await ids(status=["active", "archived"]) == {"a", "c"}
    assert await ids(status=[]) == set()
    assert await ids(kind="trip") == {"a"}
    assert await ids(refs={"trip": "T1"}) == {"a", "b"}
    assert await ids(refs={"trip": "T1", "lead": "L"}) == {"b"}
    assert await ids(refs={}) == {"a", "b"}
    assert await ids(search="ROME", status=EVERY) == {"a", "c"}
    for special in ("%", "*", "(", "100% * (OFF)"):
        assert await ids(search=special) == {"b"}
    assert await ids(search="_") == set()
    assert await ids(search="") == {"a", "b"}
    active = await tracker.get_active(owner=ALICE, refs={"trip": "T2"})
    assert active is None


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


async def test_a_move_before_the_first_write_is_seen_as_one_session(
    tracker: SessionTracker,
) -> None:
    tracker.touch("visit", owner=None, messages=1, title="hello")
    tracker.moved("s", owner=ALICE, was="visit", was_owner=None)
    session = await tracker.get("s", owner=ALICE)
    assert (session.title, session.message_count) == ("hello", 1)
    assert (await tracker.list(owner=None, status=EVERY)).sessions == ()


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


async def test_a_snapshot_comes_back_as_it_was(tracker: SessionTracker) -> None:
    tracker.touch("s", owner=ALICE, messages=1, snapshot=SessionSnapshot({}, []))
    tracker.touch("s", owner=ALICE, messages=1, snapshot=KEPT)
    assert await tracker.snapshot("s", owner=ALICE) == KEPT
    assert await tracker.snapshot("s", owner=MALLORY) is None
    await tracker.archive("s", owner=ALICE)
    assert await tracker.snapshot("s", owner=ALICE) == KEPT
    await tracker.delete("s", owner=ALICE)
    assert await tracker.snapshot("s", owner=ALICE) is None


NUL, LONE = "a\0b", "a\ud800b"


@pytest.mark.parametrize("text", [NUL, LONE], ids=["NUL", "lone surrogate"])
async def test_what_no_database_can_keep_is_refused_or_mended(
    tracker: SessionTracker, text: str
) -> None:
    await begun(tracker)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: tracker.rename("s", text, owner=ALICE),
        lambda: tracker.update("s", owner=ALICE, step=text),
        lambda: tracker.update("s", owner=ALICE, refs={"trip": text}),
        lambda: tracker.update("s", owner=ALICE, refs={text: "T"}),
        lambda: tracker.record("s", text, owner=ALICE, counters={}),
        lambda: tracker.record("s", "q", owner=ALICE, counters={text: 1}),
        lambda: tracker.get(text, owner=ALICE),
        lambda: tracker.get("s", owner=text),
        lambda: tracker.list(owner=ALICE, search=text),
    ]
    for call in calls:
        with pytest.raises(UnsupportedValue):
            await call()
    assert tracker.touch("t", owner=ALICE, messages=1, title=text, step=text, refs={text: text})
    assert not tracker.touch(text, owner=ALICE, messages=1)
    assert not tracker.touch("s", owner=text, messages=1)
    assert not tracker.moved(text, owner=ALICE, was="s", was_owner=ALICE)
    mended = await tracker.get("t", owner=ALICE)
    assert mended.message_count == 1
    assert mended.title == mended.step == mended.refs[mended.title]
    assert len(mended.title) == 3
    assert (await tracker.get("s", owner=ALICE)).message_count == 2


WRONG_TOUCHES: list[dict[str, object]] = [
    {"messages": "2"},
    {"messages": True},
    {"messages": 1.5},
    {"title": 7},
    {"step": b"x"},
    {"refs": [1]},
    {"refs": {"a": 1}},
    {"refs": {1: "a"}},
    {"refs": {"a": "x" * 1001}},
    {"counters": {"a": 1.5}},
    {"counters": {"a": 2**63}},
    {"owner": 7},
    {"owner": ""},
]


@pytest.mark.parametrize("wrong", WRONG_TOUCHES, ids=str)
async def test_a_touch_with_wrong_values_is_counted_and_raises_nothing(
    tracker: SessionTracker, wrong: dict[str, object]
) -> None:
    given: dict[str, object] = {"owner": ALICE, **wrong}
    assert tracker.touch("s", **given) is False  # type: ignore[arg-type]
    assert tracker.stats.dropped == 1
    assert tracker.touch(7, owner=ALICE) is False  # type: ignore[arg-type]
    assert tracker.touch("x" * 1001, owner=ALICE) is False
    assert (await begun(tracker)).message_count == 2


async def test_wrong_arguments_of_a_call_are_named(tracker: SessionTracker) -> None:
    wrong: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("status", lambda: tracker.list(owner=ALICE, status="closed_won")),  # type: ignore[arg-type]
        ("status", lambda: tracker.list(owner=ALICE, status=7)),  # type: ignore[arg-type]
        ("limit", lambda: tracker.list(owner=ALICE, limit=0)),
        ("limit", lambda: tracker.list(owner=ALICE, limit=201)),
        ("limit", lambda: tracker.list(owner=ALICE, limit=True)),
        ("cursor", lambda: tracker.list(owner=ALICE, cursor="nonsense")),
        ("cursor", lambda: tracker.list(owner=ALICE, cursor="é")),
        ("cursor", lambda: tracker.list(owner=ALICE, cursor="WzEsMl0")),
        ("cursor", lambda: tracker.list(owner=ALICE, cursor="WyIyMDI2LTAxLTAxIiwgImEiXQ")),
        ("refs", lambda: tracker.list(owner=ALICE, refs=[1])),  # type: ignore[arg-type]
        ("title", lambda: tracker.rename("s", 7, owner=ALICE)),  # type: ignore[arg-type]
        ("title", lambda: tracker.rename("s", "x" * 1001, owner=ALICE)),
        ("counters", lambda: tracker.record("s", "q", owner=ALICE, counters={"a": 1.5})),  # type: ignore[dict-item]
        ("archive_after", lambda: tracker.sweep(archive_after=-1)),
        ("archive_after", lambda: tracker.sweep(archive_after=1e300)),
        ("key", lambda: tracker.get("\U0001f600" * 300, owner=ALICE)),
        ("delete_after", lambda: tracker.sweep(delete_after=float("nan"))),
        ("id", lambda: tracker.get("", owner=ALICE)),
    ]
    for word, call in wrong:
        with pytest.raises(UnsupportedValue, match=word):
            await call()


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
