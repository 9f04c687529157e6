"""What cannot be kept is refused where somebody waits, and mended where nobody does."""

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable

import pytest

from jv_session_mw.errors import (
    UnsupportedValue,
)
from jv_session_mw.tracking import (
    SessionSnapshot,
    SessionTracker,
)
from tests.tracking.sessions import ALICE, begun

NUL, LONE = "a\0b", "a\ud800b"
NESTED = urlsafe_b64encode(b"[" * 10_000).decode()


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
    {"messages": 2**63},
    {"snapshot": "text"},
    {"snapshot": SessionSnapshot({"a": "text"}, [])},  # type: ignore[dict-item]
    {"snapshot": SessionSnapshot({}, [7])},  # type: ignore[list-item]
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
        ("cursor", lambda: tracker.list(owner=ALICE, cursor=NESTED)),
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
