"""A connection that is silent, out of step or talks nonsense costs nobody an answer."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Self

import pytest

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import PIPELINES, Delivery
from jv_session_mw.changes import Changes, Rules, new_commit_id
from jv_session_mw.cli.server import HOST
from jv_session_mw.errors import StoreUnavailable
from tests.backends.harness import (
    CREATED,
    PREFIX,
    TIMEOUT,
    TTL_MS,
    Bytes,
    appends,
    commit,
    connect,
    eventually,
    let_tasks_begin_at_once,
    load,
    values,
)
from tests.faults.proxy import FAULTS, Fault, Proxy
from tests.servers import RedisServer

SOON = Delivery(doubt_after=0.05, give_up_after=2.0)


class Broken:
    """A backend whose next connections to Redis are broken by one kind of fault."""

    def __init__(self, server: RedisServer, delivery: Delivery = SOON) -> None:
        self.proxy = Proxy(server.port, self._choose)
        self.stored = Bytes(server)
        self._delivery = delivery
        self._faults: list[Fault] = []
        self.backend: RedisBackend

    async def __aenter__(self) -> Self:
        await self.proxy.__aenter__()
        self.backend = RedisBackend(
            connect(self.proxy.url), Rules(TTL_MS), prefix=PREFIX, delivery=self._delivery
        )
        await self.backend.open(TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.backend.close()
        await self.proxy.__aexit__(None, None, None)
        self.stored.close()

    def breaks(self, *faults: Fault) -> None:
        self._faults = list(faults)

    def _choose(self) -> Fault | None:
        return self._faults.pop(0) if self._faults else None


@pytest.fixture
async def broken(valkey: RedisServer) -> AsyncGenerator[Broken]:
    async with Broken(valkey) as broken:
        yield broken


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_fault_on_the_way_costs_no_request_its_answer(
    broken: Broken, fault: Fault
) -> None:
    for at in range(3):
        broken.breaks(fault)
        version = (await commit(broken.backend, appends(at, b"%d" % at))).version
        assert version == at + 1
        broken.breaks(fault)
        assert values(await load(broken.backend)) == [b"%d" % number for number in range(at + 1)]
    assert broken.proxy.injected == {fault: 6}


async def test_a_silent_connection_is_doubted_where_tasks_begin_at_once(
    valkey: RedisServer,
) -> None:
    let_tasks_begin_at_once()
    async with Broken(valkey, Delivery(doubt_after=0.05, give_up_after=10 * TIMEOUT)) as broken:
        broken.breaks("black hole")
        assert (await commit(broken.backend, appends(0, b"x"))).version == 1
    assert broken.proxy.injected == {"black hole": 1}


async def test_dead_connections_in_every_pipeline_make_room_for_others(broken: Broken) -> None:
    await asyncio.gather(*(load(broken.backend, key=str(at)) for at in range(64 * PIPELINES)))
    faults: list[Fault] = ["black hole"] * PIPELINES
    broken.breaks(*faults)
    found = await asyncio.gather(
        *(broken.backend.load(str(at), 50, TIMEOUT) for at in range(64 * PIPELINES))
    )
    assert len(found) == 64 * PIPELINES


async def test_a_connection_that_was_only_slow_is_used_again(broken: Broken) -> None:
    for at in range(10):
        broken.breaks("slow")
        await commit(broken.backend, appends(at, b"x"))
        await asyncio.sleep(0.6)  # by then the late reply is there
    assert broken.proxy.connections <= PIPELINES + 1


async def test_a_standstill_of_this_process_lets_no_connection_be_doubted(
    valkey: RedisServer,
) -> None:
    async with Broken(valkey, Delivery(doubt_after=0.5, give_up_after=2.0)) as broken:
        await load(broken.backend)
        opened = broken.proxy.connections
        loading = asyncio.create_task(load(broken.backend))
        for _ in range(5):
            await asyncio.sleep(0)
        time.sleep(1.0)  # noqa: ASYNC251 - as the work of another request may take
        await loading
        assert broken.proxy.connections == opened


@pytest.mark.parametrize("fault", ["half open", "black hole"])
async def test_a_connection_that_stays_silent_is_closed_in_the_end(
    valkey: RedisServer, fault: Fault
) -> None:
    async with Broken(valkey, Delivery(doubt_after=0.05, give_up_after=0.2)) as broken:
        broken.breaks(fault)
        await commit(broken.backend, appends(0, b"x"))
        was = broken.proxy.open
        await eventually(lambda: broken.proxy.open < was)
        assert values(await load(broken.backend)) == [b"x"]


async def test_an_answer_that_is_another_commands_reaches_nobody(broken: Broken) -> None:
    keys = [str(at) for at in range(50)]
    await asyncio.gather(*(commit(broken.backend, appends(0, key.encode()), key) for key in keys))
    for _ in range(20):
        broken.breaks("extra reply")
        found = await asyncio.gather(*(load(broken.backend, key=key) for key in keys))
        assert [values(snapshot) for snapshot in found] == [[key.encode()] for key in keys]


async def test_commits_whose_replies_were_lost_are_applied_once_however_many_they_are(
    broken: Broken,
) -> None:
    """More of one conversation in one batch than a short list of commits would remember."""
    first = await commit(broken.backend, appends(0, b"0"))
    broken.breaks("no reply")
    changes = [appends(first.version, b"%d" % at) for at in range(1, 61)]
    await asyncio.gather(*(commit(broken.backend, change) for change in changes))
    assert broken.proxy.injected == {"no reply": 1}
    found = values(await broken.backend.load("key", 0, TIMEOUT))
    assert sorted(found) == sorted(b"%d" % at for at in range(61))


async def test_only_so_many_commits_are_remembered(broken: Broken) -> None:
    for at in range(4):
        await asyncio.gather(*(commit(broken.backend, appends(0, b"x")) for _ in range(100)))
        remembered = broken.stored.meta()[6:]
        assert sum(map(len, remembered)) + len(remembered) <= 8_000
        assert len(remembered) >= min(150, 100 * (at + 1))
    broken.stored.set_meta(CREATED, b"%d" % (int(broken.stored.meta()[CREATED]) - 61_000))
    await commit(broken.backend, appends(0, b"x"))
    remembered = broken.stored.meta()[6:]
    assert sum(map(len, remembered)) + len(remembered) <= 1_000
    for _ in range(20):
        await commit(broken.backend, Changes(new_commit_id(), 0, appended=[b"x"]))
    assert len(broken.stored.meta()) - 6 >= 8


async def test_a_commit_counts_once_the_replicas_have_it(
    new_valkey: Callable[..., RedisServer],
) -> None:
    primary, replica = new_valkey(), new_valkey()
    replica.do("REPLICAOF", HOST, str(primary.port))
    await eventually(lambda: "state=online" in primary.info("replication"))
    delivery = Delivery(doubt_after=TIMEOUT, give_up_after=TIMEOUT, replicas=1)
    async with Broken(primary, delivery) as broken:
        backend = broken.backend
        await backend.ping(TIMEOUT)
        outcomes = await asyncio.gather(
            *(commit(backend, appends(0, b"x"), str(at)) for at in range(20))
        )
        assert {outcome.version for outcome in outcomes} == {1}
        assert replica.ask("DBSIZE") == ":40"
        assert await backend.delete("3", TIMEOUT)
        replica.freeze()
        lonely = appends(1, b"y")
        with pytest.raises(StoreUnavailable) as alone:
            await backend.commit("5", lonely, 0.2)
        assert alone.value.reason in ("replicas", "timeout")
        with pytest.raises(StoreUnavailable):  # applied before, and not acknowledged for that
            await backend.commit("5", lonely, 0.2)
        assert len(values(await backend.load("5", 50, TIMEOUT))) == 2
        replica.thaw()
        outcome = await commit(backend, lonely, "5")
        assert (outcome.status, outcome.version) == ("committed", 2)
        replica.kill()
        await eventually(lambda: "connected_slaves:0" in primary.info("replication"))
        with pytest.raises(StoreUnavailable) as without:
            await backend.ping(0.2)
        assert without.value.reason == "replicas"
        assert values(await load(backend, key="6")) == [b"x"]
