"""The CPU that a session adds to one request, by length of the conversation and by concurrency."""

import gc
from collections.abc import AsyncGenerator, Sequence
from statistics import median
from time import monotonic

from starlette.types import ASGIApp

from tests.benchmarks import drive
from tests.benchmarks.contenders import Contender, Headers
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

MICROSECONDS = 1e6
TURNS_EACH = 3  # so that a short conversation stays about as short as it is said to be
LONG = 1_000  # messages, beside which those of a few turns do not count


async def added(
    contender: Contender, path: str, clients: Sequence[Headers], each: int
) -> tuple[float, float]:
    """Return the CPU that the session adds, and that of the bare application, in µs.

    One right after the other, since the machine is not as fast from one moment to the next.
    """
    bare = await _one(contender.bare, path, clients, each)
    return await _one(contender.app, path, clients, each) - bare, bare


async def _one(app: ASGIApp, path: str, clients: Sequence[Headers], each: int) -> float:
    gc.collect()  # what an earlier round has left is not on this one's bill
    return await drive.cpu(app, path, clients, each) * MICROSECONDS


async def by_size(contenders: Sequence[Contender], plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure turns and reads for every size, the contenders taking turns in each round."""
    for size in plan.sizes:
        taking_part = [contender for contender in contenders if size <= contender.largest]
        async for found in _measure(taking_part, size, plan.clients(size), plan):
            yield found


async def by_concurrency(
    contenders: Sequence[Contender], plan: Plan
) -> AsyncGenerator[Measurement]:
    for concurrency in plan.concurrencies:
        async for found in _measure(contenders, plan.size, concurrency, plan):
            yield found


async def by_length(ours: Contender, plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure turns of long conversations and of longer ones, as many of each, side by side."""
    longest = max(plan.sizes)
    clients = plan.clients(longest)
    held = {size: await ours.seed(size, clients) for size in (plan.size, longest)}
    costs: dict[int, list[float]] = {size: [] for size in held}
    for _ in range(4 * plan.rounds):
        for size, seeded in held.items():
            await _warm(ours, seeded)
            costs[size].append((await added(ours, "/turn", seeded, TURNS_EACH))[0])
    for size, values in costs.items():
        yield Measurement("length", ours.name, "turn", median(values), "µs", size, clients)


async def visits(contenders: Sequence[Contender], plan: Plan) -> AsyncGenerator[Measurement]:
    """Measure what a visitor without a token costs, who asks for nothing."""
    nobody: list[Headers] = [[]] * plan.concurrency
    for contender in contenders:
        found = [(await added(contender, "/none", nobody, 20))[0] for _ in range(plan.rounds)]
        yield Measurement("cpu", contender.name, "visit", median(found), "µs", 0, plan.concurrency)


async def _measure(
    contenders: Sequence[Contender], size: int, clients: int, plan: Plan
) -> AsyncGenerator[Measurement]:
    costs: dict[tuple[str, str], list[float]] = {}
    held: dict[str, list[Headers]] = {}
    rounds, since = 0, monotonic()
    while not plan.has_enough(rounds, since):
        rounds += 1
        for contender in contenders:
            if contender.name not in held or size < LONG:
                held[contender.name] = await contender.seed(size, clients)
            seeded = held[contender.name]
            await _warm(contender, seeded)
            for operation in ("read", "turn"):
                cost, bare = await added(contender, f"/{operation}", seeded, TURNS_EACH)
                costs.setdefault((contender.name, operation), []).append(cost)
                costs.setdefault(("bare", operation), []).append(bare)
    for (name, operation), values in costs.items():
        yield Measurement("cpu", name, operation, median(values), "µs", size, clients)


async def _warm(contender: Contender, seeded: Sequence[Headers]) -> None:
    await drive.cpu(contender.app, "/read", seeded, 1)
