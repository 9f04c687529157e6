"""The time that a session adds to one request, and the round trip that it cannot do without."""

import gc
import time
from collections.abc import AsyncGenerator, Sequence

from redis.asyncio import Redis

from tests.benchmarks import drive
from tests.benchmarks.contenders import Contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
MICROSECONDS = 1e6


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of the sorted *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def added(contenders: Sequence[Contender], plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure turns, at concurrency 1 and at the usual one; minus the bare application's median."""
    for concurrency in (1, plan.concurrency):
        for contender in contenders:
            clients = await contender.seed(plan.size, concurrency)
            each = max(1, plan.samples // concurrency)
            await drive.latencies(contender.app, "/turn", clients, 3)
            gc.collect()
            bare = await drive.latencies(contender.bare, "/turn", clients, each)
            taken = await drive.latencies(contender.app, "/turn", clients, each)
            for variant, share in PERCENTILES:
                value = (percentile(taken, share) - percentile(bare, 0.5)) * MICROSECONDS
                yield Measurement(
                    "latency", contender.name, "turn", value, "µs", plan.size, concurrency, variant
                )


async def round_trip(port: int, plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure one PING of redis-py at a time."""
    taken: list[float] = []
    async with Redis(port=port) as redis:
        for _ in range(plan.samples):
            started = time.perf_counter()
            await redis.ping()  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]
            taken.append(time.perf_counter() - started)
    for variant, share in PERCENTILES:
        value = percentile(taken, share) * MICROSECONDS
        yield Measurement("latency", "redis", "round trip", value, "µs", 0, 1, variant)
