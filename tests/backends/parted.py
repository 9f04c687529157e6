"""A process that is parted from Redis while another is not."""

from jv_session_mw.backends.breaker import CONSECUTIVE_FAILURES
from jv_session_mw.backends.fallback import FallbackBackend
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.replay import Replay
from jv_session_mw.backends.replayed_calls import ReplayedCalls
from jv_session_mw.changes import Changes, Outcome, Rules, Snapshot
from jv_session_mw.telemetry import Telemetry
from tests.backends.harness import (
    DELIVERY,
    commit,
    eventually,
    guarded,
    load,
    puts,
    redis_backend,
    values,
)
from tests.faults.proxy import Proxy
from tests.servers import RedisServer

WINDOW = 50


class Parted:
    """A process that can be parted from Redis, and another that Redis stays with."""

    def __init__(
        self, server: RedisServer, proxy: Proxy, rules: Rules, delivery: Delivery = DELIVERY
    ) -> None:
        self.server = server
        self.proxy = proxy
        self.guard = guarded(proxy.url, rules, delivery)
        replaying = ReplayedCalls(self.guard, Telemetry("redis"), delivery.give_up_after)
        self.here = FallbackBackend(self.guard, rules, window=WINDOW, replaying=replaying)
        self.elsewhere: RedisBackend = redis_backend(server, rules)

    @property
    def replay(self) -> Replay:
        assert self.here.replay is not None
        return self.here.replay

    @property
    def conflicts(self) -> int:
        return self.here.condition().replay_conflicts

    async def part(self) -> None:
        self.proxy.part()
        for _ in range(CONSECUTIVE_FAILURES):
            await load(self.here, key="nobody")

    async def join(self) -> None:
        """Let the process reach Redis again, and wait until all is replayed."""
        self.proxy.join()
        await eventually(lambda: not (self.guard.is_degraded or self.replay.journal))

    async def close(self) -> None:
        await self.here.close()
        await self.elsewhere.close()


def resting_on(held: Snapshot | Outcome, changes: Changes) -> Changes:
    """Return *changes* as a request sends them that has loaded *held*."""
    changes.base_version, changes.birth = held.version, held.birth
    return changes


async def turn(parted: Parted, *messages: bytes, **fields: tuple[bytes | None, bytes]) -> Outcome:
    held = await load(parted.here)
    changes = resting_on(held, puts(0, **fields))
    changes.appended = list(messages)
    return await commit(parted.here, changes)


async def both(parted: Parted) -> Snapshot:
    """Return what Redis has, which is what the process sees."""
    stored = await load(parted.elsewhere)
    seen = await load(parted.here)
    assert (values(seen), seen.fields, seen.version) == (
        values(stored), stored.fields, stored.version,
    )  # fmt: skip
    assert seen.fallback == ""
    return stored
