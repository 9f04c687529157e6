"""What a request makes a server do: bytes and commands, counted there."""

from collections.abc import AsyncGenerator, Sequence

from redis.asyncio import Redis

from tests.benchmarks import drive
from tests.benchmarks.contenders import Contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement
from tests.benchmarks.work import message

COUNTERS = {
    "bytes in": "total_net_input_bytes",
    "bytes out": "total_net_output_bytes",
    "commands": "total_commands_processed",
}
CLIENTS = 4


async def counted(
    contenders: Sequence[Contender], port: int, plan: Plan
) -> AsyncGenerator[Measurement]:
    """Count what *CLIENTS* requests, one after another, take each."""
    async with Redis(port=port) as redis:
        itself = await _difference(redis, await _counters(redis))
        for size in plan.sizes:
            for contender in (one for one in contenders if size <= one.largest):
                clients = await contender.seed(size, CLIENTS)
                for operation in ("read", "turn"):
                    await drive.cpu(contender.app, "/read", clients, 1)
                    before = await _counters(redis)
                    for client in clients:
                        await drive.cpu(contender.app, f"/{operation}", [client], 1)
                    found = await _difference(redis, before)
                    for name, value in found.items():
                        one = (value - itself[name]) / CLIENTS
                        yield Measurement(
                            "traffic", contender.name, operation, one, "", size, 1, name
                        )
    yield Measurement(
        "traffic", "ours", "turn", float(changed_bytes()), "", variant="changed bytes"
    )


def changed_bytes() -> int:
    """Return the bytes of two messages and of the number that a turn changes."""
    return sum(len(str(message(role))) for role in ("user", "assistant")) + len("step1")


async def _counters(redis: Redis) -> dict[str, float]:
    info: dict[str, float] = await redis.info("stats")  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]
    return {name: info[counter] for name, counter in COUNTERS.items()}


async def _difference(redis: Redis, before: dict[str, float]) -> dict[str, float]:
    after = await _counters(redis)
    return {name: after[name] - before[name] for name in COUNTERS}
