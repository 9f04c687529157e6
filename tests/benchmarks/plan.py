"""How much is measured: all of it, or a quick look."""

from time import monotonic

from msgspec import Struct

ENOUGH_ROUNDS = 3
MOST_SECONDS = 30.0


class Plan(Struct, frozen=True):
    """What a run goes through.

    The medians are over *rounds*. On a slow machine they may be fewer, so that all of it stays
    within the time that it is said to take.
    """

    sizes: tuple[int, ...]
    concurrencies: tuple[int, ...]
    rounds: int
    samples: int
    seconds: float
    concurrency: int = 32
    size: int = 100

    def clients(self, size: int) -> int:
        """Return how many conversations of *size* messages are worth their memory."""
        return max(4, min(self.concurrency, 64_000 // size))

    def has_enough(self, rounds: int, since: float) -> bool:
        """Say whether *rounds* that began at the moment *since* will do."""
        if rounds >= self.rounds:
            return True
        return rounds >= ENOUGH_ROUNDS and monotonic() - since > MOST_SECONDS


FULL = Plan((2, 10, 100, 1_000, 10_000), (1, 16, 64, 256), rounds=9, samples=2_000, seconds=3.0)
QUICK = Plan((2, 1_000), (1, 16), rounds=2, samples=200, seconds=0.4)
