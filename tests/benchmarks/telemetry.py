"""What tracing adds: without an SDK, with one that samples nothing, and with one that records."""

import time
from collections.abc import AsyncGenerator
from statistics import median

from opentelemetry.context import get_current
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from jv_session_mw import RedisConversationStore
from jv_session_mw.deadline import Deadline
from jv_session_mw.telemetry import Telemetry
from tests.benchmarks import cost
from tests.benchmarks.contenders.ours import Ours
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

CALLS = 5_000


async def added(port: int, plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure a turn of 100 messages with each kind of provider, taking turns in each round."""
    yield Measurement("telemetry", "ours", "turn", without_sdk(), "µs", plan.size, 1, "no sdk")
    url = f"redis://127.0.0.1:{port}"
    kinds = {
        "off": Ours(RedisConversationStore(url=url)),
        "sampled out": Ours(
            RedisConversationStore(url=url, tracer_provider=tracing(sampled=False))
        ),
        "recording": Ours(
            RedisConversationStore(
                url=url,
                tracer_provider=tracing(sampled=True),
                meter_provider=MeterProvider([InMemoryMetricReader()]),
            )
        ),
    }
    costs: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(plan.rounds):
        for name, ours in kinds.items():
            clients = await ours.seed(plan.size, plan.concurrency)
            costs[name].append((await cost.added(ours, "/turn", clients, 3))[0])
    for name, ours in kinds.items():
        value = median(costs[name])
        yield Measurement("telemetry", "ours", "turn", value, "µs", plan.size, 32, name)
        await ours.close()


def tracing(*, sampled: bool) -> TracerProvider:
    return TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)


def without_sdk() -> float:
    """Return the µs that the calls of one turn, a load and a save, take where there is no SDK."""
    telemetry, parent, deadline = Telemetry("redis"), get_current(), Deadline(1.0)
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(CALLS):
            for operation, result in (("load", "hit"), ("save", "written")):
                with telemetry.call(operation, "id", parent, deadline) as call:
                    call.finished(result, 1, 1)
        best = min(best, (time.process_time() - started) / CALLS * 1e6)
    return best
