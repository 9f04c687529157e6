"""How a session ends and goes on: each way leads only from where it may."""

import asyncio

import pytest

from jv_session_mw.errors import (
    InvalidTransition,
)
from jv_session_mw.tracking import (
    ChatSession,
    SessionTracker,
)
from tests.tracking.sessions import ALICE, VERBS, begun

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
