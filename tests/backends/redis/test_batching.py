"""Commands leave together, and no request can break the connection of another."""

import asyncio
import functools
import time
from collections.abc import AsyncGenerator
from typing import NoReturn, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import DataError

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import DEPTH, MAX_WAITING, PIPELINES, Batcher
from jv_session_mw.changes import Snapshot
from jv_session_mw.errors import StoreUnavailable, UnreadableConversation
from jv_session_mw.lateness import lateness_of
from tests.backends.harness import (
    DELIVERY,
    KEY,
    TIMEOUT,
    VERSION,
    Bytes,
    appends,
    commit,
    let_tasks_begin_at_once,
    load,
    values,
)
from tests.backends.redis.conftest import Place
from tests.round_trips import RoundTrips, count_round_trips
from tests.servers import RedisServer


class Counted:
    """A batcher over one kind of wire, and the number of batches that it has sent."""

    def __init__(self, client: Redis, trips: RoundTrips) -> None:
        self.batcher = Batcher(client, DELIVERY)
        self._trips = trips

    @property
    def batches(self) -> int:
        return self._trips.count


@pytest.fixture(params=["plain", "watched"])
async def counted(
    request: pytest.FixtureRequest, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Counted]:
    """Run the test over a connection of its own, and over a pipeline that somebody has wrapped."""
    if request.param == "watched":
        execute = Pipeline.execute

        @functools.wraps(execute)
        async def wrapped(self: Pipeline, raise_on_error: bool = True) -> list[object]:
            return await execute(self, raise_on_error)

        monkeypatch.setattr(Pipeline, "execute", wrapped)
    client = Redis(port=valkey.port, protocol=2)
    subject = Counted(client, count_round_trips(monkeypatch))
    yield subject
    await subject.batcher.close()
    await client.aclose()


async def ask(batcher: Batcher, *command: str | bytes | int) -> object:
    async with asyncio.timeout(TIMEOUT):
        return await batcher.send(command, TIMEOUT)


def connections_made(stored: Bytes) -> int:
    info = cast("dict[str, int]", stored.do("INFO", "stats"))
    return info["total_connections_received"]


async def test_commands_of_one_tick_leave_as_one_batch(counted: Counted) -> None:
    batcher = counted.batcher
    replies = await asyncio.gather(*(ask(batcher, "ECHO", at) for at in range(DEPTH)))
    assert replies == [b"%d" % at for at in range(DEPTH)]
    assert counted.batches == 1


async def test_commands_of_one_tick_leave_as_one_batch_where_tasks_begin_at_once(
    counted: Counted,
) -> None:
    let_tasks_begin_at_once()
    batcher = counted.batcher
    replies = [batcher.send(("ECHO", at), TIMEOUT) for at in range(DEPTH)]
    assert await asyncio.gather(*replies) == [b"%d" % at for at in range(DEPTH)]
    assert counted.batches == 1


async def test_many_commands_leave_as_few_batches_in_order(counted: Counted) -> None:
    batcher = counted.batcher
    count = 5 * DEPTH + 1
    replies = await asyncio.gather(*(ask(batcher, "ECHO", at) for at in range(count)))
    assert replies == [b"%d" % at for at in range(count)]
    assert counted.batches == 6


async def test_no_more_connections_are_open_than_pipelines(place: Place) -> None:
    for _ in range(3):
        await asyncio.gather(*(load(place.backend, key=str(at)) for at in range(PIPELINES * DEPTH)))
    clients = place.stored.do("CLIENT", "LIST", "TYPE", "normal")
    assert isinstance(clients, bytes)
    assert 1 < len(clients.splitlines()) <= PIPELINES + 1  # the one that asks is among them


async def test_a_request_that_is_gone_before_its_turn_is_not_sent(
    counted: Counted, place: Place
) -> None:
    batcher = counted.batcher
    gone = batcher.send(("SET", "gone", 1), TIMEOUT)
    stays = batcher.send(("SET", "stays", 1), TIMEOUT)
    gone.cancel()
    await stays
    assert place.stored.keys() == {b"stays"}


async def test_an_error_reply_is_only_its_own_requests(counted: Counted) -> None:
    batcher = counted.batcher
    await ask(batcher, "SET", "text", "a")
    good, bad, also_good = await asyncio.gather(
        ask(batcher, "GET", "text"),
        ask(batcher, "LLEN", "text"),
        ask(batcher, "STRLEN", "text"),
        return_exceptions=True,
    )
    assert (good, also_good) == (b"a", 1)
    assert isinstance(bad, UnreadableConversation)


async def test_a_command_that_cannot_be_sent_harms_no_other(counted: Counted) -> None:
    batcher = counted.batcher
    bad, good = await asyncio.gather(
        ask(batcher, "SET", "key", "\ud800"),
        ask(batcher, "ECHO", "good"),
        return_exceptions=True,
    )
    assert isinstance(bad, Exception)
    assert not isinstance(bad, TimeoutError)
    assert good == b"good"


async def test_a_queue_that_is_too_long_refuses_at_once(counted: Counted) -> None:
    batcher = counted.batcher
    waiting = [batcher.send(("ECHO", at), TIMEOUT) for at in range(MAX_WAITING)]
    with pytest.raises(StoreUnavailable) as refused:
        batcher.send(("PING",), TIMEOUT)
    assert refused.value.reason == "overload"
    assert await asyncio.gather(*waiting) == [b"%d" % at for at in range(MAX_WAITING)]
    assert await ask(batcher, "ECHO", "after") == b"after"


async def test_what_waits_at_the_close_is_unavailable(counted: Counted) -> None:
    batcher = counted.batcher
    waiting = [batcher.send(("BLPOP", "nothing", 5), TIMEOUT), batcher.send(("PING",), TIMEOUT)]
    await asyncio.sleep(0)
    waiting.append(batcher.send(("PING",), TIMEOUT))
    await batcher.close()
    for reply in waiting:
        with pytest.raises(StoreUnavailable):
            await reply


async def test_a_close_sends_nothing_more(counted: Counted) -> None:
    batcher = counted.batcher
    waiting = [batcher.send(("BLPOP", "nothing", 5), TIMEOUT)]
    await asyncio.sleep(0)
    waiting += [batcher.send(("PING",), TIMEOUT) for _ in range(2 * PIPELINES * DEPTH)]
    await asyncio.sleep(0)
    before = counted.batches
    await batcher.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert counted.batches == before
    for reply in waiting:
        with pytest.raises(StoreUnavailable):
            await reply


async def test_a_closed_batcher_opens_no_connection(counted: Counted) -> None:
    before = counted.batches
    await counted.batcher.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await ask(counted.batcher, "PING")
    assert counted.batches == before


async def test_a_batch_that_is_cancelled_before_it_begins_does_not_hold_up_the_next(
    place: Place,
) -> None:
    await commit(place.backend, appends(0, b"hi"))
    before = asyncio.all_tasks()
    asked = asyncio.create_task(load(place.backend))
    await asyncio.sleep(0)  # it has asked, and what sends it has not begun
    assert len(asyncio.all_tasks() - before) == 2
    for task in asyncio.all_tasks() - before:  # as a handler of SIGTERM may do
        task.cancel()
    await asyncio.wait({asked})
    assert values(await load(place.backend)) == [b"hi"]


async def test_a_closed_batcher_is_not_late(counted: Counted) -> None:
    await ask(counted.batcher, "PING")
    await counted.batcher.close()
    lateness = lateness_of(asyncio.get_running_loop())
    before = lateness.within(TIMEOUT)
    time.sleep(0.05)  # noqa: ASYNC251 - in which nobody waits for a reply
    assert lateness.within(TIMEOUT) == before


async def test_cancelled_calls_leave_every_later_reply_right(place: Place) -> None:
    backend = place.backend
    await asyncio.gather(
        *(commit(backend, appends(0, b"value %d" % at), str(at)) for at in range(50))
    )
    before = connections_made(place.stored)
    cancelled = 0
    doomed: list[asyncio.Task[Snapshot]] = []
    for number in range(80):
        doomed = [asyncio.create_task(load(backend, key=str(at))) for at in range(25)]
        staying = [asyncio.create_task(load(backend, key=str(at))) for at in range(25, 50)]
        for _ in range(number % 9):
            await asyncio.sleep(0)
        cancelled += sum(task.cancel() for task in doomed)
        for at, task in enumerate(staying, start=25):
            assert values(await task) == [b"value %d" % at]
    await asyncio.gather(*doomed, return_exceptions=True)
    assert cancelled > 1_000
    for at in range(50):
        assert values(await load(backend, key=str(at))) == [b"value %d" % at]
    assert connections_made(place.stored) == before


async def test_a_cancelled_commit_that_was_sent_lands_once(place: Place) -> None:
    turn = asyncio.create_task(commit(place.backend, appends(0, b"hi")))
    for _ in range(3):
        await asyncio.sleep(0)
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    snapshot = await load(place.backend)
    assert values(snapshot) in ([], [b"hi"])


async def test_a_call_ends_with_its_time_and_leaves_the_connection_right(place: Place) -> None:
    await commit(place.backend, appends(0, b"hi"))
    before = connections_made(place.stored)
    for _ in range(20):
        with pytest.raises(StoreUnavailable) as late:
            await place.backend.load(KEY, 50, 0.000_001)
        assert late.value.reason == "timeout"
        assert values(await load(place.backend)) == [b"hi"]
    assert connections_made(place.stored) < before + PIPELINES  # one for each pipeline


async def test_a_connection_that_died_unnoticed_is_not_the_requests_matter(
    backend: RedisBackend, stored: Bytes
) -> None:
    await commit(backend, appends(0, b"hi"))
    for at in range(3):
        stored.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert (await commit(backend, appends(1, b"ho"))).version == at + 2
    assert stored.meta()[VERSION] == b"4"


async def test_a_process_that_stood_still_does_not_blame_the_server(place: Place) -> None:
    await commit(place.backend, appends(0, b"hi"))
    for steps in range(6):
        call = asyncio.create_task(place.backend.load(KEY, 50, 0.05))
        for _ in range(steps):
            await asyncio.sleep(0)
        time.sleep(0.15)  # noqa: ASYNC251  # as a garbage collection does, or a busy machine
        assert values(await call) == [b"hi"]


@pytest.mark.parametrize("kind", [TypeError, ValueError, DataError])
async def test_a_connection_that_cannot_be_made_ends_the_call_at_once(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def refuse() -> NoReturn:
        raise kind("no such keyword")

    client = Redis(port=valkey.port)
    monkeypatch.setattr(client.connection_pool, "make_connection", refuse)
    batcher = Batcher(client, DELIVERY)
    with pytest.raises(StoreUnavailable, match="no such keyword"):
        await ask(batcher, "PING")
    await batcher.close()
    await client.aclose()
