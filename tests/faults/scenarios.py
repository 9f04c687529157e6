"""Runs under faults: each returns what was done, and what should not have come of it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from jv_session_mw import RedisConversationStore
from jv_session_mw.cli.server import HOST
from tests.faults.history import History, Violations, merged, violations
from tests.faults.proxy import FAULTS, Fault, Proxy
from tests.faults.stored import logs_of
from tests.faults.writer import Load, Writer, in_process, settle
from tests.servers import RedisServer
from tests.topologies import SYNC_AT_ONCE, Cluster, Sentinels

PROCESSES = 3
LAG_SECONDS = 0.05  # of the replica behind its primary
TURNS_FOR_A_FAULT = 60  # about, as many turns share a batch
Make = Callable[..., RedisServer]


class Verdict(Struct):
    """How a run ended: `done` counts what was put in, `wrong` what should not have come out."""

    done: dict[str, int]
    wrong: Violations

    @property
    def summary(self) -> str:
        counts = ", ".join(f"{count:,} {what}" for what, count in self.done.items())
        wrong = ", ".join(f"{len(names):,} {kind}" for kind, names in self.wrong.items())
        return f"{counts}: {wrong or 'nothing lost, nothing twice, nothing foreign'}"


def judged(history: History, servers: Sequence[RedisServer], **done: int) -> Verdict:
    counts = {**done, "acknowledged": len(history.acknowledged), "of unknown outcome": 0}
    counts["of unknown outcome"] = len(history.tried)
    counts["said to be gone"] = history.gone
    return Verdict(counts, violations(history, logs_of(servers)))


async def on_the_way(
    server: RedisServer,
    seed: int,
    *,
    faults: int,
    kinds: Sequence[Fault] = FAULTS,
    chance: float = 0.05,
    pause: float = 0.0,
    options: Mapping[str, Any],
) -> Verdict:
    """Inject about so many faults between writers in several processes and their server."""
    dice = random.Random(seed)

    def choose() -> Fault | None:
        return dice.choice(kinds) if dice.random() < chance else None

    server.flush()
    async with Proxy(server.port, choose, seed) as proxy:
        each = faults * TURNS_FOR_A_FAULT // PROCESSES + 100
        loads = [
            Load(
                f"w{at}-",
                seed + at,
                each,
                cancel_every=20,
                pause=pause,
                options={**options, "url": proxy.url},
            )
            for at in range(PROCESSES)
        ]
        histories = await asyncio.gather(*(in_process(load) for load in loads))
        injected = sum(proxy.injected.values())
    return judged(merged(histories), [server], faults=injected)


async def cancelled(server: RedisServer, seed: int, *, requests: int) -> Verdict:
    """Cancel two of three requests at any of their awaits, and count the connections."""
    server.flush()
    async with Proxy(server.port) as proxy:
        before = 0
        history = History()
        async with RedisConversationStore(url=proxy.url, fallback=None, deadline=5.0) as store:
            for part, share in enumerate((requests // 10, requests - requests // 10)):
                load = Load(f"p{part}-", seed + part, share * 3 // 2, at_once=64)
                load.cancel_every = 1 if part else 2
                told = await Writer(load, store).run()
                history = merged([history, told])
                before = before or proxy.connections
        grown = proxy.connections - before
    return judged(history, [server], cancelled=requests, **{"connections opened on the way": grown})


async def replayed(server: RedisServer, seed: int, *, outages: int, processes: int = 2) -> Verdict:
    """Part every process from the server again and again, and let each replay what it took over."""
    dice = random.Random(seed)
    server.flush()
    stores: list[RedisConversationStore] = []
    writers: list[Writer] = []
    async with Proxy(server.port, seed=seed) as proxy:
        for at in range(processes):
            stores.append(RedisConversationStore(url=proxy.url, recovery="replay"))
            load = Load(f"r{at}-", seed + at, 10**9, conversations=200, at_once=8, pause=0.01)
            writers.append(Writer(load, stores[-1]))
        running = [asyncio.create_task(writer.run()) for writer in writers]
        for _ in range(outages):
            await asyncio.sleep(dice.random() / 5)
            proxy.part()
            await asyncio.sleep(dice.random() / 3)
            proxy.join()
            await asyncio.sleep(dice.random())
        for writer in writers:
            writer.stop = True
        history = merged(await asyncio.gather(*running))
        for store in stores:
            await settle(store)
        conflicts = sum([(await store.get_health()).replay_conflicts for store in stores])
        for store in stores:
            await store.close()
    return judged(history, [server], outages=outages, conflicts=conflicts)


async def failing_over(
    url: str, servers: Callable[[], Sequence[RedisServer]], seed: int, *, times: int,
    fail: Callable[[], Awaitable[None]], **options: Any,
) -> Verdict:  # fmt: skip
    """Fail over while a writer goes on, and hold what is left against what was acknowledged."""
    async with RedisConversationStore(url=url, fallback=None, **options) as store:
        writer = Writer(Load("f", seed, 10**9, at_once=8), store)
        running = asyncio.create_task(writer.run())
        for _ in range(times):
            await asyncio.sleep(0.1)
            await fail()
            progress = len(writer.history.acknowledged)
            async with asyncio.timeout(30):
                while len(writer.history.acknowledged) < progress + 50:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        writer.stop = True
        history = await running
    return judged(history, servers(), failovers=times)


async def by_address(make: Make, seed: int, *, times: int, replicas: int) -> Verdict:
    """Fail over as a managed service does: the address stays and leads to the replica."""
    primary, replica = (make(options=SYNC_AT_ONCE) for _ in range(2))
    async with (
        Proxy(primary.port, seed=seed) as proxy,
        Proxy(primary.port, late=LAG_SECONDS) as link,
    ):

        async def follow(this: RedisServer, other: RedisServer) -> None:
            link.join()
            link.lead_to(other.port)
            await asyncio.to_thread(this.do, "REPLICAOF", HOST, str(link.port))
            async with asyncio.timeout(20):
                while "master_link_status:up" not in await asyncio.to_thread(  # noqa: ASYNC110
                    this.info, "replication"
                ):
                    await asyncio.sleep(0.01)

        await follow(replica, primary)

        async def fail() -> None:
            nonlocal primary, replica
            link.part()  # what was on its way to the replica is lost with its primary
            await asyncio.to_thread(primary.kill)
            await asyncio.to_thread(replica.do, "REPLICAOF", "NO", "ONE")
            primary, replica = replica, primary
            proxy.part()
            proxy.lead_to(primary.port)
            proxy.join()
            await asyncio.to_thread(replica.start)
            await follow(replica, primary)

        return await failing_over(
            proxy.url, lambda: [primary], seed, times=times, fail=fail, wait_replicas=replicas,
            connect_timeout=0.5, deadline=1.0,
        )  # fmt: skip


async def by_sentinels(make: Make, seed: int, *, times: int) -> Verdict:
    sentinels = await asyncio.to_thread(Sentinels, make)

    async def fail() -> None:
        await asyncio.to_thread(sentinels.fail_over)
        await asyncio.to_thread(sentinels.repair)

    return await failing_over(
        sentinels.url, lambda: [sentinels.primary], seed, times=times, fail=fail,
        wait_replicas=1, deadline=1.0,
    )  # fmt: skip


async def by_cluster(make: Make, seed: int, *, times: int) -> Verdict:
    cluster = await asyncio.to_thread(Cluster, make, 3, 1)
    dice = random.Random(seed)

    def kill_one() -> None:
        slot = dice.randrange(16_384)
        victim = cluster.owner(slot)
        victim.kill()
        cluster.wait_for_owner(slot)
        victim.start()
        cluster.settle()

    async def fail() -> None:
        await asyncio.to_thread(kill_one)

    def primaries() -> list[RedisServer]:
        return [server for server in cluster.servers if server.is_primary]

    return await failing_over(
        cluster.url, primaries, seed, times=times, fail=fail, wait_replicas=1, deadline=1.0
    )
