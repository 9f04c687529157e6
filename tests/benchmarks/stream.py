"""What a chunk of a streamed answer costs on its way through the middleware."""

from collections.abc import AsyncGenerator
from statistics import median

from tests.benchmarks import drive
from tests.benchmarks.contenders.ours import Ours
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement
from tests.benchmarks.work import CHUNKS


async def chunk(ours: Ours, plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure streams of a thousand chunks, minus those of the bare application."""
    clients = await ours.seed(2, 1)
    costs: list[float] = []
    for _ in range(plan.rounds * 3):
        bare = await drive.cpu(ours.bare, "/stream", clients, 5)
        costs.append((await drive.cpu(ours.app, "/stream", clients, 5) - bare) / CHUNKS * 1e6)
    yield Measurement("chunk", "ours", "chunk", median(costs), "µs")
