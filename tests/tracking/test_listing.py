"""A listing has an order, pages and conditions."""

from jv_session_mw.tracking import (
    SessionStatus,
    SessionTracker,
)
from tests.tracking.sessions import ALICE, EVERY


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
