"""A short version of `make faults`, with seeds of its own; the long one counts in thousands."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jv_session_mw import RedisConversationStore
from jv_session_mw.backends.redis.batching import PIPELINES
from tests.faults import controls, endings, memory, scenarios, timing
from tests.faults.history import merged, violations
from tests.faults.proxy import Fault, Proxy
from tests.faults.stored import logs_of
from tests.faults.writer import Load, Writer, look_around
from tests.servers import RedisServer

Make = Callable[..., RedisServer]
KINDS_OF_STORE: list[dict[str, Any]] = [{"fallback": None}, {"recovery": "replay"}]


@pytest.mark.parametrize("options", KINDS_OF_STORE, ids=["no fallback", "replay"])
async def test_no_fault_on_the_way_loses_or_repeats_a_turn(
    valkey: RedisServer, options: dict[str, Any]
) -> None:
    verdict = await scenarios.on_the_way(valkey, 1, faults=60, pause=0.01, options=options)
    assert verdict.wrong == {}
    assert verdict.done["said to be gone"] == 0
    assert verdict.done["faults"] > 30
    assert verdict.done["acknowledged"] > 500


async def test_cancelled_requests_see_nobody_elses_conversation_and_cost_no_connection(
    valkey: RedisServer,
) -> None:
    verdict = await scenarios.cancelled(valkey, 2, requests=3_000)
    assert verdict.wrong == {}
    # One for each pipeline that opens then, as after a standstill; never one for each request.
    assert verdict.done["connections opened on the way"] <= PIPELINES


async def test_outages_are_replayed_without_a_loss(valkey: RedisServer) -> None:
    verdict = await scenarios.replayed(valkey, 3, outages=4)
    assert verdict.wrong == {}
    assert verdict.done["conflicts"] == 0
    assert verdict.done["of unknown outcome"] == verdict.done["said to be gone"] == 0


async def test_a_failover_loses_nothing_that_a_replica_has(new_valkey: Make) -> None:
    verdict = await scenarios.by_address(new_valkey, 4, times=2, replicas=1)
    assert verdict.wrong == {}


async def test_a_failover_without_waiting_for_replicas_loses_and_the_checker_sees_it(
    new_valkey: Make,
) -> None:
    verdict = await scenarios.by_address(new_valkey, 5, times=3, replicas=0)
    assert verdict.wrong["lost"]
    assert verdict.wrong.keys() <= {"lost", "backward"}


async def test_failovers_of_a_cluster_lose_nothing_that_a_replica_has(new_valkey: Make) -> None:
    verdict = await scenarios.by_cluster(new_valkey, 6, times=1)
    assert verdict.wrong == {}


async def broken_on_purpose(server: RedisServer, fault: Fault) -> dict[str, list[str]]:
    """Run a writer in this process, whose promises a test has broken, and say what is found."""
    count = 0

    def choose() -> Fault | None:
        nonlocal count
        count += 1
        return fault if count % 10 == 0 else None

    async with (
        Proxy(server.port, choose) as proxy,
        RedisConversationStore(url=proxy.url, fallback=None) as store,
    ):
        history = await Writer(Load("x", 7, 400), store).run()
        history = merged([history, await look_around(store, 50, rounds=40)])
    return violations(history, logs_of([server]))


async def test_the_checker_sees_commits_without_an_id(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await broken_on_purpose(valkey, "no reply") == {}
    valkey.flush()
    controls.without_commit_ids(monkeypatch)
    assert (await broken_on_purpose(valkey, "no reply"))["duplicated"]


async def test_the_checker_sees_replies_that_are_shifted_by_one(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await broken_on_purpose(valkey, "old replies") == {}
    valkey.flush()
    controls.without_tags(monkeypatch)
    assert (await broken_on_purpose(valkey, "old replies"))["foreign"]


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_an_outage_holds_no_more_requests_than_were_under_way(
    own_valkey: RedisServer, how: str
) -> None:
    lose = own_valkey.kill if how == "kill" else own_valkey.freeze
    give_back = own_valkey.start if how == "kill" else own_valkey.thaw
    cost = await timing.of_an_outage(own_valkey, lose, give_back)
    assert cost.slow <= timing.CLIENTS + 5


@pytest.mark.parametrize("replay", [False, True], ids=["sticky", "replay"])
async def test_made_up_ids_stay_within_the_bounds_of_the_memory(replay: bool) -> None:
    held = await memory.of_made_up_ids(30_000, replay=replay, length=5_000)
    assert held.entries <= 10_000
    assert held.size <= 64 * memory.MIB


async def test_streams_that_are_hung_up_on_are_stored(valkey: RedisServer) -> None:
    assert await endings.stored_after_disconnects(valkey, 200) == 200


async def test_streams_under_way_at_sigterm_are_stored(valkey: RedisServer) -> None:
    count = len(endings.ENDING_SERVERS)
    assert await asyncio.to_thread(endings.stored_after_sigterm, valkey, count) == count
