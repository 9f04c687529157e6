"""The calls of a tracker that wait for nothing, and its life from open to close."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.termination import hear_of_termination
from jv_session_mw.tracking.activity import Activity, Details, Item
from jv_session_mw.tracking.checks import checked_end, checked_messages, details_of
from jv_session_mw.tracking.keys import key_of
from jv_session_mw.tracking.ledger import Ledger
from jv_session_mw.tracking.snapshot import SessionSnapshot
from jv_session_mw.tracking.telemetry import BATCH_REFUSED, BATCH_SIZE, TrackerTelemetry
from jv_session_mw.tracking.write_behind import TrackerStats, WriteBehind


class NotingTracker:
    """Notes what happens in each turn, and lets one task write it.

    What was noted is merged by session, and written every *flush_interval* seconds in batches of
    *max_batch* sessions. At most *max_pending* sessions wait. `close()` may take *close_timeout*
    seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        flush_interval: float,
        max_batch: int,
        max_pending: int,
        close_timeout: float,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self.ledger = ledger
        self._close_timeout = close_timeout
        self.telemetry = TrackerTelemetry(ledger.name, tracer_provider, meter_provider)
        self.behind = WriteBehind(
            self._apply, interval=flush_interval, max_batch=max_batch, max_pending=max_pending
        )
        self.telemetry.watch(self)

    @property
    def stats(self) -> TrackerStats:
        """What became of the activity that was noted, as of now."""
        return self.behind.stats

    async def open(self) -> None:
        """Make the client, in the event loop that will use it; no request is sent."""
        await self.ledger.open()
        hear_of_termination(self)

    async def close(self) -> TrackerStats:
        """Write what waits, then close what was opened; what the answer calls `pending` is lost."""
        try:
            return await self.behind.close(self._close_timeout)
        finally:
            await self.ledger.close()

    def terminating(self) -> None:
        """Write at once: some servers are killed before their lifespan ends."""
        self.behind.hurry()

    def touch(
        self,
        id: str,
        *,
        owner: str | None,
        messages: int = 0,
        title: str | None = None,
        kind: str | None = None,
        step: str | None = None,
        refs: Mapping[str, str | None] | None = None,
        counters: Mapping[str, int] | None = None,
        snapshot: SessionSnapshot | None = None,
    ) -> bool:
        """Note that something happened in a session, and say whether that will be written.

        It waits for nothing and raises nothing. A session that does not exist is created, one that
        has ended stays as it is. *messages* and *counters* are added to what is there, *title* is
        for a session that has none. Characters that cannot be stored are replaced by a mark.
        """
        details = None
        try:
            key = key_of(id, owner)
            if title or kind or step or refs or counters or snapshot:
                details = details_of(
                    title=title,
                    kind=kind,
                    step=step,
                    refs=refs,
                    counters=counters,
                    snapshot=snapshot,
                )
            checked_messages(messages)
        except UnsupportedValue as error:
            self.behind.refuse(error)
            return False
        now = time.monotonic()
        return self.behind.note(key, Activity(now, now, messages, True, details))

    def moved(self, id: str, *, owner: str | None, was: str, was_owner: str | None) -> bool:
        """Note that a session has another id or owner from now on, as at a login."""
        return self._note_only(id, owner, lambda: Details(was=(key_of(was, was_owner),)))

    def ended(self, id: str, *, owner: str | None, status: Literal["archived", "deleted"]) -> bool:
        """Note that the conversation was deleted, and what becomes of its session."""
        return self._note_only(id, owner, lambda: Details(ended=checked_end(status)))

    async def flush(self) -> None:
        """Write all that waits; raises the `TrackingError` of a failure: then it still waits."""
        await self.behind.drain()

    def _note_only(self, id: str, owner: str | None, details: Callable[[], Details]) -> bool:
        try:
            key, what = key_of(id, owner), details()
        except UnsupportedValue as error:
            self.behind.refuse(error)
            return False
        now = time.monotonic()
        return self.behind.note(key, Activity(now, now, touched=False, details=what))

    async def _apply(self, batch: str, items: Sequence[Item]) -> Sequence[int]:
        hear_of_termination(self)
        with self.telemetry.call("flush") as span:
            span.set_attribute(BATCH_SIZE, len(items))
            refused = await self.ledger.apply(batch, items)
            span.set_attribute(BATCH_REFUSED, len(refused))
        return refused
