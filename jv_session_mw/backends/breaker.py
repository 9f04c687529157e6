"""When to stop asking a store that does not answer: pure state and an injected clock."""

import time
from collections.abc import Callable

CONSECUTIVE_FAILURES = 5
WINDOW_SECONDS = 10.0
WINDOW_CALLS = 10


class Breaker:
    """Opens after five failures in a row, or when half of ten or more calls in 10 s failed.

    While it is open nobody waits for the store. Only `close()` ends that: a background probe, never
    a request, finds out that the store is back.
    """

    __slots__ = ("_calls", "_clock", "_failures", "_in_row", "_since", "is_open")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.close()

    def close(self) -> None:
        self.is_open = False
        self._in_row = self._calls = self._failures = 0
        self._since = self._clock()

    def succeeded(self) -> None:
        self._in_row = 0
        self._calls += 1

    def failed(self) -> None:
        # Only a failure looks at the clock: a window without failures cannot open the breaker.
        now = self._clock()
        if now - self._since > WINDOW_SECONDS:
            self._since = now
            self._calls = self._failures = 0
        self._calls += 1
        self._in_row += 1
        self._failures += 1
        if self._in_row >= CONSECUTIVE_FAILURES or (
            self._calls >= WINDOW_CALLS and 2 * self._failures >= self._calls
        ):
            self.is_open = True
