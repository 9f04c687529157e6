"""Commands leave together, and no request can break the connection of another."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import DEPTH, LANES, MAX_WAITING, Batcher
from jv_session_mw.changes import Snapshot
from jv_session_mw.errors import StoreUnavailable, UnreadableConversation
from tests.backends.harness import HASH, KEY, TIMEOUT, Bytes, appends, commit, load, values
from tests.backends.redis.conftest import Place
from tests.servers import RedisServer


class CountingRedis(Redis):
    """A client that counts its pipelines."""

    pipelines = 0

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        self.pipelines += 1
        return super().pipeline(transaction, shard_hint)


@pytest.fixture
async def client(valkey: RedisServer) -> AsyncGenerator[CountingRedis]:
    client = CountingRedis(port=valkey.port, protocol=2)
    yield client
    await client.aclose()


async def ask(batcher: Batcher, *command: str | bytes | int) -> object:
    async with asyncio.timeout(TIMEOUT):
        return await batcher.send(*command)


def connections_made(stored: Bytes) -> int:
    info = cast("dict[str, int]", stored.do("INFO", "stats"))
    return info["total_connections_received"]


async def test_commands_of_one_tick_leave_as_one_pipeline(client: CountingRedis) -> None:
    batcher = Batcher(client)
    replies = await asyncio.gather(*(ask(batcher, "ECHO", at) for at in range(DEPTH)))
    assert replies == [b"%d" % at for at in range(DEPTH)]
    assert client.pipelines == 1
    await batcher.close()


async def test_many_commands_leave_as_few_pipelines_in_order(client: CountingRedis) -> None:
    batcher = Batcher(client)
    count = 5 * DEPTH + 1
    replies = await asyncio.gather(*(ask(batcher, "ECHO", at) for at in range(count)))
    assert replies == [b"%d" % at for at in range(count)]
    assert client.pipelines == 6
    await batcher.close()


async def test_no_more_connections_are_open_than_lanes(place: Place) -> None:
    for _ in range(3):
        await asyncio.gather(*(load(place.backend, key=str(at)) for at in range(LANES * DEPTH)))
    clients = place.stored.do("CLIENT", "LIST", "TYPE", "normal")
    assert isinstance(clients, bytes)
    assert 1 < len(clients.splitlines()) <= LANES + 1  # the one that asks is among them


async def test_a_request_that_is_gone_before_its_turn_is_not_sent(
    client: CountingRedis, place: Place
) -> None:
    batcher = Batcher(client)
    gone = batcher.send("SET", "gone", 1)
    stays = batcher.send("SET", "stays", 1)
    gone.cancel()
    await stays
    assert place.stored.keys() == {b"stays"}
    await batcher.close()


async def test_an_error_reply_is_only_its_own_requests(client: CountingRedis) -> None:
    batcher = Batcher(client)
    await ask(batcher, "SET", "text", "a")
    good, bad, also_good = await asyncio.gather(
        ask(batcher, "GET", "text"),
        ask(batcher, "LLEN", "text"),
        ask(batcher, "STRLEN", "text"),
        return_exceptions=True,
    )
    assert (good, also_good) == (b"a", 1)
    assert isinstance(bad, UnreadableConversation)
    await batcher.close()


async def test_a_command_that_cannot_be_sent_harms_no_other(client: CountingRedis) -> None:
    batcher = Batcher(client)
    bad, good = await asyncio.gather(
        ask(batcher, "SET", "key", "\ud800"),
        ask(batcher, "ECHO", "good"),
        return_exceptions=True,
    )
    assert isinstance(bad, Exception)
    assert not isinstance(bad, TimeoutError)
    assert good == b"good"
    await batcher.close()


async def test_a_queue_that_is_too_long_refuses_at_once(client: CountingRedis) -> None:
    batcher = Batcher(client)
    waiting = [batcher.send("PING") for _ in range(MAX_WAITING)]
    with pytest.raises(StoreUnavailable) as refused:
        batcher.send("PING")
    assert refused.value.reason == "overload"
    assert set(await asyncio.gather(*waiting)) == {True}
    assert await ask(batcher, "ECHO", "after") == b"after"
    await batcher.close()


async def test_what_waits_at_the_close_is_unavailable(client: CountingRedis) -> None:
    batcher = Batcher(client)
    waiting = [batcher.send("BLPOP", "nothing", 5), batcher.send("PING")]
    await asyncio.sleep(0)
    waiting.append(batcher.send("PING"))
    await batcher.close()
    for reply in waiting:
        with pytest.raises(StoreUnavailable):
            await reply


async def test_a_close_sends_nothing_more(client: CountingRedis) -> None:
    batcher = Batcher(client)
    waiting = [batcher.send("BLPOP", "nothing", 5)]
    await asyncio.sleep(0)
    waiting += [batcher.send("PING") for _ in range(2 * LANES * DEPTH)]
    await asyncio.sleep(0)
    before = client.pipelines
    await batcher.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert client.pipelines == before
    for reply in waiting:
        with pytest.raises(StoreUnavailable):
            await reply


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
    assert cancelled == 2_000
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
    assert connections_made(place.stored) == before


async def test_a_connection_that_died_unnoticed_is_not_the_requests_matter(
    backend: RedisBackend, stored: Bytes
) -> None:
    await commit(backend, appends(0, b"hi"))
    for at in range(3):
        stored.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert (await commit(backend, appends(1, b"ho"))).version == at + 2
    assert stored.do("HGET", HASH, "@v") == b"4"
