"""Activity that is written later, in batches, so that no request waits for it."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context

from msgspec import Struct

from jv_session_mw.backoff import Backoff
from jv_session_mw.errors import TrackerUnavailable, TrackingError, UnsupportedValue
from jv_session_mw.tracking.activity import Activity, Item
from jv_session_mw.tracking.keys import Key
from jv_session_mw.tracking.ledger import BadItems
from jv_session_mw.tracking.pending import Batch, Pending, Wanted

logger = logging.getLogger("jv_session_mw")

BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
HURRIED_INTERVAL = 0.1
# The database remembers for eight days which batches it has applied.
LONGEST_WAIT = 7 * 86_400.0

Send = Callable[[str, Sequence[Item]], Awaitable[Sequence[int]]]


class TrackerStats(Struct, kw_only=True):
    """What became of the activity that was noted, in sessions.

    `pending` wait to be written, `flushed` were. `refused` had ended or were deleted. `dropped` are
    lost: there was no room for one more session, or the database could not store it. `retried`
    counts the batches that were sent again, `last_error` says why, until one succeeds.
    """

    pending: int = 0
    flushed: int = 0
    refused: int = 0
    dropped: int = 0
    retried: int = 0
    last_error: str | None = None


class WriteBehind:
    """Collects activity by session, and sends it every *interval* seconds.

    A batch whose outcome is not known is sent again under its id, after a backoff. One that the
    database refuses as a whole is halved until the item to blame is alone, and is dropped. A task
    that is cancelled while it sends a batch leaves it to the next one.

    `note` may be called in any thread. All is sent in the event loop that came first, even if
    others run beside it. When that has ended, the next one goes on.
    """

    def __init__(self, send: Send, *, interval: float, max_batch: int, max_pending: int) -> None:
        self._send = send
        self._interval = interval
        self._pending = Pending(max_batch=max_batch, max_pending=max_pending)
        self._lock = threading.Lock()
        self._turn = asyncio.Lock()
        self._nudge = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed_with: TrackingError | None = None
        self._counts = TrackerStats()

    @property
    def stats(self) -> TrackerStats:
        """A copy of the counts as they are now."""
        counts = self._counts
        return TrackerStats(
            pending=len(self._pending),
            flushed=counts.flushed,
            refused=counts.refused,
            dropped=counts.dropped,
            retried=counts.retried,
            last_error=counts.last_error,
        )

    def note(self, key: Key, activity: Activity) -> bool:
        """Add *activity* to what waits; say whether there was room for it."""
        if not self._pending.add(key, activity):
            with self._lock:
                self._counts.dropped += 1
            return False
        task = self._task  # its own thread may set it to None between two looks
        if task is None or task.done() or not task.get_loop().is_running():
            self._wake()
        return True

    def refuse(self, error: UnsupportedValue) -> None:
        """Count an activity that cannot be noted; the caller is not to be disturbed by it."""
        with self._lock:
            self._counts.dropped += 1
        self._counts.last_error = str(error)
        logger.debug("an activity was not noted: %s", error)

    def hurry(self) -> None:
        """Send what waits now, and from then on at short intervals: the process will end soon."""
        self._interval = min(self._interval, HURRIED_INTERVAL)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._nudge.set)

    async def drain(self, wanted: Wanted | None = None) -> None:
        """Send all that waits, or only what is *wanted*; raises the `TrackingError` of a failure.

        A caller that wants something in particular, and has waited while another one failed, does
        not try again: the last of a hundred callers would otherwise wait for a hundred time-outs.
        """
        owner = self._loop
        if owner is not None and owner is not asyncio.get_running_loop() and owner.is_running():
            there = asyncio.run_coroutine_threadsafe(self.drain(wanted), owner)
            await asyncio.wrap_future(there)
            return
        self._adopt_loop()
        while True:
            seen = self._failed_with
            async with self._turn:
                batch = self._pending.next(wanted)
                if batch is None:
                    return
                if wanted and self._failed_with and self._failed_with is not seen:
                    raise self._failed_with
                await self._deliver(batch)

    async def close(self, seconds: float) -> TrackerStats:
        """Send what waits, *seconds* at most; what is left then is lost, and logged."""
        failure: TrackingError | None = None
        try:
            async with asyncio.timeout(seconds):
                await self.drain()
        except TimeoutError:
            failure = TrackerUnavailable("the database did not answer in time", reason="timeout")
        except TrackingError as error:
            failure = error
        task, self._task = self._task, None
        if task is not None:
            await _end(task)
        stats = self.stats
        if stats.pending:
            logger.error("the activity of %d chat sessions is lost: %s", stats.pending, failure)
        return stats

    async def _deliver(self, batch: Batch) -> None:
        now = time.monotonic()
        if now - batch.since > LONGEST_WAIT:
            self._give_up(batch, "it waited for a week")
            return
        items = [
            activity.item(n, key, now) for n, (key, activity) in enumerate(batch.activities.items())
        ]
        self._counts.retried += batch.sent > 0
        batch.sent += 1
        try:
            refused = await self._send(batch.id, items)
        except BadItems as error:
            self._divide(batch, error)
            return
        except TrackingError as error:
            self._failing(error)
            raise
        self._pending.remove(batch)
        self._counts.refused += len(refused)
        self._counts.flushed += len(items) - len(refused)
        self._recovered()

    def _divide(self, batch: Batch, error: BadItems) -> None:
        if len(batch.activities) == 1:
            self._give_up(batch, str(error))
            return
        self._pending.divide(batch)

    def _give_up(self, batch: Batch, why: str) -> None:
        self._pending.remove(batch)
        self._counts.dropped += len(batch.activities)
        self._counts.last_error = why
        logger.error("the activity of %d chat session(s) is lost: %s", len(batch.activities), why)

    def _failing(self, error: TrackingError) -> None:
        self._counts.last_error = str(error)
        before, self._failed_with = self._failed_with, error
        if before is None or type(before) is not type(error):
            logger.warning("chat sessions are not written for now, and will be later: %s", error)

    def _recovered(self) -> None:
        self._counts.last_error = None
        if self._failed_with is not None:
            logger.info("chat sessions are written again")
            self._failed_with = None

    def _wake(self) -> None:
        """Let the background task run, in the event loop that this belongs to."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not None and (self._loop is None or not self._loop.is_running()):
            self._adopt_loop()
        loop = self._loop
        if loop is None or loop.is_closed():
            return  # the first call in an event loop begins
        if loop is running:
            self._begin()
        else:
            loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            # In a context of its own, since it belongs to no request's trace.
            self._task = asyncio.create_task(self._run(), context=Context())
            self._task.add_done_callback(_log_unexpected)

    async def _run(self) -> None:
        wait, backoff = self._interval, Backoff(BACKOFF_BASE, BACKOFF_CAP)
        while self._pending:
            await self._pause(wait)
            wait = self._interval
            try:
                await self.drain()
            except TrackingError:
                wait += backoff.next()
            else:
                backoff = Backoff(BACKOFF_BASE, BACKOFF_CAP)
        self._task = None
        if self._pending.noted:  # by another thread, which has still seen this task
            self._begin()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        self._nudge.clear()

    def _adopt_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        self._task = None  # it belongs to a loop that has ended
        self._turn, self._nudge = asyncio.Lock(), asyncio.Event()


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel *task*, and wait for it if it is one of this event loop."""
    loop = task.get_loop()
    if loop is not asyncio.get_running_loop():
        loop.call_soon_threadsafe(task.cancel)
        return
    task.cancel()
    await asyncio.wait({task})


def _log_unexpected(task: asyncio.Task[None]) -> None:
    """Log what has ended the background task; the next activity starts another one."""
    if not task.cancelled() and task.exception() is not None:
        logger.error("chat sessions: writing failed unexpectedly", exc_info=task.exception())
