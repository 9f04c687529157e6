"""Ten things that a project must do, tried on a session of its own that is deleted afterwards."""

import os
import uuid
from collections.abc import Awaitable, Callable

from jv_session_mw import ids
from jv_session_mw.cli.findings import Finding
from jv_session_mw.errors import (
    ConfigurationError,
    InvalidTransition,
    SchemaMissing,
    SessionNotFound,
    TrackerUnavailable,
    TrackingError,
)
from jv_session_mw.tracking import SessionSnapshot
from jv_session_mw.tracking.activity import Activity
from jv_session_mw.tracking.ledger_tracker import LedgerTracker

ANON_KEY = "SUPABASE_ANON_KEY"
SNAPSHOT = SessionSnapshot({"checked": b"\0"}, [b"?"])
URL = "let SUPABASE_URL be the project's URL, and see that it is reached from here"


class Unexpected(TrackingError):
    """The project answers, but not what the functions of the migrations would."""


class Trial:
    """One session of an owner that exists for the check alone."""

    def __init__(self, tracker: LedgerTracker) -> None:
        self.owner = f"jv-session-mw check {ids.mint()}"
        self.id = ids.mint()
        self._tracker = tracker

    async def schema(self) -> None:
        try:
            await self._tracker.get(self.id, owner=self.owner)
        except SessionNotFound:
            return
        raise Unexpected("it finds a session that nobody has made")

    async def activity(self) -> None:
        """Send the same batch twice, as after a lost reply."""
        batch = str(uuid.uuid4())
        activity = Activity(0.0, 0.0, messages=2)
        item = activity.item(0, (self.owner, self.id), 0.0)
        for _ in range(2):
            await self._tracker.ledger.apply(batch, [item])
        await self._expect(messages=2)

    async def counting(self) -> None:
        for expected in (True, False):
            counted = await self._tracker.record(
                self.id, "event", owner=self.owner, counters={"events": 1}
            )
            if counted is not expected:
                raise Unexpected("an event is not counted once")

    async def details(self) -> None:
        refs = {"check": "yes"}
        await self._tracker.update(self.id, owner=self.owner, title="A check", refs=refs)

    async def listing(self) -> None:
        page = await self._tracker.list(owner=self.owner, search="CHECK", refs={"check": "yes"})
        if [session.id for session in page.sessions] != [self.id]:
            raise Unexpected("the listing does not find it")

    async def transitions(self) -> None:
        await self._tracker.pause(self.id, owner=self.owner)
        await self._tracker.resume(self.id, owner=self.owner)
        await self._tracker.complete(self.id, owner=self.owner)

    async def refusals(self) -> None:
        try:
            await self._tracker.pause(self.id, owner=self.owner)
        except InvalidTransition:
            await self._tracker.reopen(self.id, owner=self.owner)
            return
        raise Unexpected("a completed session can be paused")

    async def snapshots(self) -> None:
        self._tracker.touch(self.id, owner=self.owner, snapshot=SNAPSHOT)
        if await self._tracker.snapshot(self.id, owner=self.owner) != SNAPSHOT:
            raise Unexpected("a snapshot does not come back as it was")

    async def strangers(self) -> None:
        try:
            await self._tracker.get(self.id, owner=f"{self.owner}'s neighbour")
        except SessionNotFound:
            return
        raise Unexpected("another owner finds it")

    async def deletion(self) -> None:
        await self._tracker.delete(self.id, owner=self.owner)
        self._tracker.touch(self.id, owner=self.owner, messages=1)
        await self.schema()

    async def _expect(self, *, messages: int) -> None:
        session = await self._tracker.get(self.id, owner=self.owner)
        if session.message_count != messages:
            raise Unexpected("a batch that is sent twice counts twice")


async def findings() -> list[Finding]:
    """Try one thing after another until one fails, then what a browser's key may do."""
    try:
        tracker = _tracker()
    except ConfigurationError as error:
        return [Finding(str(error), "set it up as the application has it", fatal=True)]
    trial = Trial(tracker)
    steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("the project answers, and has the migrations of this version", trial.schema),
        ("activity is counted, and a batch that is sent twice counts once", trial.activity),
        ("an event counts once", trial.counting),
        ("title and references are set", trial.details),
        ("the listing finds it by reference and title", trial.listing),
        ("it is paused, resumed and completed", trial.transitions),
        ("what has ended is not paused", trial.refusals),
        ("a snapshot comes back as it was", trial.snapshots),
        ("another owner finds nothing", trial.strangers),
        ("what is deleted stays deleted", trial.deletion),
    ]
    found: list[Finding] = []
    try:
        for what, step in steps:
            try:
                await step()
            except TrackingError as error:
                return [*found, _failed(what, error)]
            found.append(Finding(what))
        return [*found, await _anonymous()]
    finally:
        await _clean_up(tracker, trial)
        await tracker.close()


def _tracker(key: str | None = None) -> LedgerTracker:
    from jv_session_mw.tracking import SupabaseSessionTracker

    return SupabaseSessionTracker(key=key, flush_interval=3600)


async def _anonymous() -> Finding:
    """Say whether the key that browsers have is refused."""
    key = os.environ.get(ANON_KEY)
    if not key:
        advice = f"set {ANON_KEY} for the check, and it tries what a browser may"
        return Finding("whether the anonymous role is refused was not tried", advice)
    tracker = _tracker(key)
    try:
        await tracker.get("any", owner="any")
    except TrackerUnavailable as error:
        if error.reason in ("permission", "auth"):
            return Finding("the anonymous role may not call the functions")
    except TrackingError:
        pass  # whatever it is, the call went through to the function
    finally:
        await tracker.close()
    advice = "apply the migrations again: they take the right from it"
    return Finding("the anonymous role may call the functions", advice, fatal=True)


async def _clean_up(tracker: LedgerTracker, trial: Trial) -> None:
    try:
        await tracker.delete_owner(trial.owner)
    except TrackingError:
        return  # which the report says already


def _failed(what: str, error: TrackingError) -> Finding:
    if isinstance(error, SchemaMissing) or not isinstance(error, TrackerUnavailable):
        advice = 'jv-session-mw tracking migrate --print | psql -1 "$DATABASE_URL"'
    else:
        advice = URL if error.reason not in ("auth", "permission") else "see the project's API keys"
    return Finding(f"not so: {what}: {error}", advice, fatal=True)
