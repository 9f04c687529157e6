"""`make faults`: the long version of the fault suite, repeatable by its seed."""

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from jv_session_mw.backends.redis.batching import PIPELINES
from tests.faults import endings, memory, scenarios, timing
from tests.faults.scenarios import Verdict
from tests.servers import RedisServer, new_server


class Finding(NamedTuple):
    """One line of the report, and whether the figure is reached."""

    name: str
    text: str
    good: bool


class Plan(NamedTuple):
    """How much of everything."""

    faults: int
    cancelled: int
    outages: int
    failovers: int
    sentinel_failovers: int
    cluster_failovers: int
    ids: int
    disconnects: int
    sigterms: int


FULL = Plan(11_000, 100_000, 50, 190, 4, 6, 1_000_000, 10_000, 200)
QUICK = Plan(500, 5_000, 10, 10, 1, 1, 50_000, 500, 8)


class Suite:
    """Runs the scenarios one after another on servers of its own."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._made: list[RedisServer] = []
        self.findings: list[Finding] = []

    def make(self, *, persistent: bool = False, options: tuple[str, ...] = ()) -> RedisServer:
        self._made.append(new_server("valkey-9", persistent=persistent, options=options))
        return self._made[-1]

    def close(self) -> None:
        for server in self._made:
            server.close()

    async def run(self) -> None:
        plan, seed, server = self._plan, self._seed, self.make()
        # Turns in memory are quick: without a pause they would come faster than they are replayed.
        # With one fewer of them share a batch, so that a turn meets four times as many faults.
        for share, pause, options in (
            (2, 0.0, {"fallback": None}),
            (8, 0.05, {"recovery": "replay"}),
        ):
            faults = plan.faults // share
            on_the_way = partial(scenarios.on_the_way, server, seed, faults=faults, pause=pause)
            await self._judge(f"faults on the way, {options}", partial(on_the_way, options=options))
        cancelled = partial(scenarios.cancelled, server, seed, requests=plan.cancelled)
        await self._judge("cancelled", cancelled)
        replayed = partial(scenarios.replayed, server, seed, outages=plan.outages)
        await self._judge("outages replayed", replayed)
        await self._failovers()
        await self._outages()
        await self._endings(server)
        await self._memory()

    async def _failovers(self) -> None:
        plan, make, seed = self._plan, self.make, self._seed
        address = partial(scenarios.by_address, make, seed)
        sentinels = partial(scenarios.by_sentinels, make, seed, times=plan.sentinel_failovers)
        cluster = partial(scenarios.by_cluster, make, seed, times=plan.cluster_failovers)
        waiting = partial(address, times=plan.failovers, replicas=1)
        await self._judge("failovers, wait_replicas=1", waiting)
        await self._judge("by sentinels, wait_replicas=1", sentinels)
        await self._judge("of a cluster, wait_replicas=1", cluster)
        without = partial(address, times=max(3, plan.failovers // 10), replicas=0)
        await self._judge("failovers without waiting", without, may_lose=True)

    async def _outages(self) -> None:
        server, clients = self.make(), timing.CLIENTS
        ways = {"killed": (server.kill, server.start), "frozen": (server.freeze, server.thaw)}
        for name, (lose, give_back) in ways.items():
            server.restart()
            cost = await timing.of_an_outage(server, lose, give_back)
            good = cost.slow <= clients + 5 and cost.open_p99 <= 1 and cost.back <= 2
            text = (
                f"{cost.slow} slow requests of {clients} clients, worst {cost.worst:.0f} ms, "
                f"p99 {cost.open_p99:.2f} ms when it is known, back after {cost.back:.2f} s"
            )
            self._tell(Finding(f"outage, {name}", text, good))

    async def _endings(self, server: RedisServer) -> None:
        count = self._plan.disconnects
        stored = await endings.stored_after_disconnects(server, count)
        self._tell_stored("disconnects", stored, count)
        count = self._plan.sigterms
        stored = await asyncio.to_thread(endings.stored_after_sigterm, server, count)
        self._tell_stored("SIGTERM during a stream", stored, count)

    async def _memory(self) -> None:
        for name, replay in (("sticky", False), ("replay", True)):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                run = partial(memory.in_a_new_process, self._plan.ids, replay)
                held = await asyncio.get_running_loop().run_in_executor(pool, run)
            size, most = held.size / memory.MIB, 64
            good = held.entries <= 10_000 and size <= most and held.grown <= 100
            text = (
                f"{self._plan.ids:,} made up, {held.entries:,} kept in {size:.0f} MiB; "
                f"the process has grown by {held.grown:.0f} MiB"
            )
            self._tell(Finding(f"ids, {name}", text, good))

    async def _judge(
        self, name: str, run: Callable[[], Awaitable[Verdict]], *, may_lose: bool = False
    ) -> None:
        started = time.monotonic()
        verdict = await run()
        good = may_lose or not verdict.wrong
        grown = verdict.done.get("connections opened on the way", 0)
        text = f"{verdict.summary} ({time.monotonic() - started:.0f} s)"
        self._tell(Finding(name, text, good and grown <= PIPELINES))

    def _tell_stored(self, name: str, stored: int, count: int) -> None:
        self._tell(Finding(name, f"{stored:,} of {count:,} stored", stored == count))

    def _tell(self, finding: Finding) -> None:
        self.findings.append(finding)
        print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.name}: {finding.text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--quick", action="store_true", help="a minute instead of twenty")
    arguments = parser.parse_args()
    logging.getLogger("jv_session_mw").addHandler(logging.NullHandler())
    print(f"seed {arguments.seed}: repeat this run with ARGS='--seed {arguments.seed}'", flush=True)
    suite = Suite(QUICK if arguments.quick else FULL, arguments.seed)
    try:
        asyncio.run(suite.run())
    finally:
        suite.close()
    failed = [finding.name for finding in suite.findings if not finding.good]
    print(f"{len(suite.findings) - len(failed)} figures reached, {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
