"""The time-outs of the commands that have no reply yet: one timer looks at all of them."""

import asyncio
import math
from collections.abc import Callable, Iterator

from jv_session_mw.backends.redis.waiting import Waiting
from jv_session_mw.errors import StoreUnavailable
from jv_session_mw.lateness import lateness_of

TICK_SECONDS = 0.005


class Timeouts:
    """Fails the commands among *waiting* that are not answered by the time that they are due.

    It ticks while anything waits, and once more after that, so that the next command finds the
    timer set. A timer for each command would cost as much as sending it, and could not tell a
    silent server from a process that was too busy to read the reply.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, waiting: Callable[[], Iterator[Waiting]]
    ) -> None:
        self._loop = loop
        self._waiting = waiting
        self._lateness = lateness_of(loop)
        self._timer: asyncio.TimerHandle | None = None
        self._is_quiet = False
        self.soonest = math.inf

    def expect(self, due: float, timeout: float) -> None:
        """Look after *timeout* seconds, but at the next tick at the latest, for what is *due* then.

        Nothing else is due before it: it is the `soonest` now.
        """
        self.soonest = due
        if self._timer is not None:
            if timeout >= TICK_SECONDS:
                return
            self._timer.cancel()
        seconds = min(timeout, TICK_SECONDS)
        self._timer = self._loop.call_later(seconds, self._tick)
        self._lateness.expect(id(self), seconds)

    def stop(self) -> None:
        """Forget all that was expected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self.soonest = None, math.inf
            self._lateness.note(id(self))

    def _tick(self) -> None:
        self._timer = None
        self._lateness.note(id(self))
        now = self._lateness.now()
        if self.soonest <= now:
            self._give_up(now)
        was_quiet, self._is_quiet = self._is_quiet, next(self._waiting(), None) is None
        if was_quiet and self._is_quiet:
            self.soonest = math.inf
        else:
            self.expect(self.soonest, TICK_SECONDS)

    def _give_up(self, now: float) -> None:
        """Fail what is due by *now*, and find out what is due next."""
        self.soonest = math.inf
        for one in self._waiting():
            if one.reply.done():
                continue
            if one.due <= now:
                message = f"no reply within {one.timeout:.3f} s"
                one.reply.set_exception(StoreUnavailable(message, reason="timeout"))
            else:
                self.soonest = min(self.soonest, one.due)
