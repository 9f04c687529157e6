"""The time that a session adds to one request, and the round trip that it cannot do without."""

import gc
import time
from collections.abc import AsyncGenerator, Sequence

from redis.asyncio import Redis
from starlette.types import ASGIApp

from tests.benchmarks import drive
from tests.benchmarks.contenders import Contender, Headers
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
MICROSECONDS = 1e6
TURNS_EACH = 10


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of the sorted *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def added(contenders: Sequence[Contender], plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure turns, at concurrency 1 and at the usual one; minus the bare application's median.

    The contenders take turns, so that what else the machine does is on everybody's bill.
    """
    for concurrency in (1, plan.concurrency):
        count = max(concurrency, plan.samples // TURNS_EACH // plan.rounds)
        taken: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        bare: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for _ in range(plan.rounds):
            for contender in contenders:
                clients = await contender.seed(plan.size, count)
                gc.collect()
                await _in_groups(contender.app, clients[:8], concurrency)
                bare[contender.name] += await _in_groups(contender.bare, clients, concurrency)
                taken[contender.name] += await _in_groups(contender.app, clients, concurrency)
        for name, values in taken.items():
            for variant, share in PERCENTILES:
                value = (percentile(values, share) - percentile(bare[name], 0.5)) * MICROSECONDS
                yield Measurement(
                    "latency", name, "turn", value, "µs", plan.size, concurrency, variant
                )


async def _in_groups(app: ASGIApp, clients: Sequence[Headers], concurrency: int) -> list[float]:
    """Let *concurrency* clients ask at a time, each of them only so often that it stays short."""
    taken: list[float] = []
    for at in range(0, len(clients), concurrency):
        group = clients[at : at + concurrency]
        taken += await drive.latencies(app, "/turn", group, TURNS_EACH)
    return taken


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
