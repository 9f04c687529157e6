"""How long to wait before the next try: pure state and injected randomness."""

import random
from collections.abc import Callable


class Backoff:
    """Exponential backoff with full jitter, in seconds.

    The delays are drawn from 0 to *base*, 0 to twice *base*, and so on up to *cap*, so that many
    processes do not knock together when the store comes back.
    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    __slots__ = ("_base", "_cap", "_chance", "_tries")

    def __init__(
        self, base: float, cap: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._base = base
        self._cap = cap
        self._chance = chance
        self._tries = 0

    def next(self) -> float:
        ceiling = min(self._cap, self._base * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return ceiling * self._chance()
