"""How late an event loop runs: for that time nobody could have read a reply."""

import asyncio
import math
import sys
from collections import deque
from time import monotonic
from weakref import WeakKeyDictionary

# Timers come late by this much in any case; those of Windows come every 16 ms.
TOLERATED_SECONDS = 0.02 if sys.platform == "win32" else 0.005
SHARE_LEFT = 0.1
REMEMBERED = 1_000
QUICK_SECONDS = 0.01  # too short for lateness in it to matter


class Lateness:
    """The time that one event loop spends on other things, measured by timers that fire late.

    Whoever waits for a reply sets such timers, one at a time, announces each with `expect()`, and
    calls `note()` when it fires or is cancelled. The clock `now()` nearly stands still while the
    loop is late, so that a store does not count as away because this process was busy, stopped or
    without CPU. A tenth of that time counts all the same, so that a process that is always busy
    notices a silent server too.
    """

    __slots__ = ("_due", "_dues", "_lost", "_lost_at", "_since")

    def __init__(self) -> None:
        self._dues: dict[int, float] = {}
        self._due = math.inf
        self._since = 0.0
        self._lost = 0.0
        self._lost_at: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)

    def now(self) -> float:
        """Return the seconds of a clock that nearly stands still while the loop is late."""
        now = monotonic()
        return now - self._lost - self._lost_by(now)

    def expect(self, whose: int, seconds: float) -> None:
        """Note that *whose* timer is set, in place of the last one, and due in *seconds*."""
        self._dues[whose] = monotonic() + seconds
        self._count()

    def note(self, whose: int) -> None:
        """Note that *whose* timer has fired or was cancelled."""
        self._dues.pop(whose, None)
        self._count()

    def _count(self) -> None:
        """Add up what was lost until now; what is late from here on is found by the next timer."""
        now = monotonic()
        lost = self._lost_by(now)
        if lost:
            self._lost += lost
            self._lost_at.append((now, lost))
        # A timer that is overdue by now fires at once, so by its delay nothing more is lost.
        self._since, self._due = now, max(now, min(self._dues.values(), default=math.inf))

    def within(self, seconds: float) -> float:
        """Return how many of the last *seconds* were lost to lateness."""
        now = monotonic()
        since, total = now - seconds, min(seconds, self._lost_by(now))
        for at, lost in reversed(self._lost_at):
            if at <= since:
                break
            total += min(lost, at - since)
        return total

    def _lost_by(self, now: float) -> float:
        """Return what was lost since the last count, if a timer should have fired by now."""
        if now - self._due <= TOLERATED_SECONDS:
            return 0.0
        taken = now - self._since
        return taken - min(self._due - self._since, taken * SHARE_LEFT)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Lateness] = WeakKeyDictionary()


def lateness_of(loop: asyncio.AbstractEventLoop) -> Lateness:
    """Return the lateness of *loop*; all that wait in it share one."""
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Lateness()
    return found


def waited(seconds: float) -> float:
    """Return for how much of the last *seconds* the running event loop was not late."""
    if seconds <= QUICK_SECONDS:
        return seconds
    return seconds - lateness_of(asyncio.get_running_loop()).within(seconds)
