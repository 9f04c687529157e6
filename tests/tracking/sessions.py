"""Sessions of a user, as most tests begin with one."""

from jv_session_mw.tracking import ENDED, LIVE, ChatSession, SessionSnapshot, SessionTracker

ALICE, MALLORY = "alice", "mallory"
EVERY = LIVE | ENDED
KEPT = SessionSnapshot({"a": b"\0\1\xff"}, [b"\0", b"{}"])

# Each verb, and the statuses from which it leads to which.
VERBS: dict[str, tuple[str, frozenset[str]]] = {
    "pause": ("paused", frozenset({"active"})),
    "resume": ("active", frozenset({"paused"})),
    "complete": ("completed", frozenset({"active", "paused"})),
    "archive": ("archived", frozenset({"active", "paused", "completed"})),
    "reopen": ("active", frozenset({"completed", "archived"})),
}


async def begun(tracker: SessionTracker, id: str = "s", owner: str | None = ALICE) -> ChatSession:
    assert tracker.touch(id, owner=owner, messages=2, title="A flight to Rome")
    return await tracker.get(id, owner=owner)
