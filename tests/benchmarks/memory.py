"""What a conversation takes in Redis, and what a process takes that serves them."""

from collections.abc import AsyncGenerator, Sequence

from redis.asyncio import Redis

from tests.benchmarks.contenders import Contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

COUNT = 4


async def conversations(
    contenders: Sequence[Contender], port: int, plan: Plan
) -> AsyncGenerator[Measurement]:
    """Measure the server's memory before and after *COUNT* new conversations of each size.

    The cookie session keeps nothing there, and is not asked.
    """
    async with Redis(port=port) as redis:
        for size in plan.sizes:
            for contender in contenders:
                if contender.name == "cookie" or size > contender.largest:
                    continue
                await redis.flushdb()  # pyright: ignore[reportUnknownMemberType]
                await contender.seed(size, COUNT)
                used = 0
                async for key in redis.scan_iter():  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                    used += await redis.memory_usage(key, samples=0) or 0  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportGeneralTypeIssues]
                yield Measurement(
                    "memory", contender.name, "store", used / COUNT, "B", size, 1, "conversation"
                )
