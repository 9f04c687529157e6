"""Sentinel and Cluster: the way to the primary is found again, and nothing acknowledged is lost."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import Sentinel
from redis.crc import key_slot

from jv_session_mw import RedisConversationStore
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.layout import redis_keys
from jv_session_mw.changes import Rules
from jv_session_mw.cli.server import HOST
from jv_session_mw.errors import ConfigurationError, StoreUnavailable
from tests.backends.harness import (
    DELIVERY,
    PREFIX,
    TIMEOUT,
    TTL_MS,
    appends,
    commit,
    connect,
    eventually,
    load,
    until_it_works,
    values,
)
from tests.servers import RedisServer, new_server
from tests.topologies import SERVICE, Cluster, Sentinels

COUNT = 30

Make = Callable[..., RedisServer]


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster]:
    """Three primaries without replicas, which no test kills."""
    made: list[RedisServer] = []

    def make(**options: tuple[str, ...]) -> RedisServer:
        made.append(new_server("valkey-9", options=options["options"]))
        return made[-1]

    yield Cluster(make)
    for server in made:
        server.close()


@pytest.fixture
async def clustered(cluster: Cluster) -> AsyncGenerator[RedisBackend]:
    for server in cluster.primaries:
        server.flush()
    backend = backend_to(cluster.url)
    yield backend
    await backend.close()


def backend_to(url: str) -> RedisBackend:
    return RedisBackend(connect(url), Rules(TTL_MS), prefix=PREFIX, delivery=DELIVERY)


def clients(cluster: Cluster) -> list[int]:
    """Return how many clients each server has; whoever asks is one of them."""
    listed = [server.do("CLIENT", "LIST", "TYPE", "normal") for server in cluster.servers]
    return [text.count("id=") for text in listed]


def slot_of(key: str) -> int:
    return key_slot(redis_keys(PREFIX, key)[0].encode())


async def fill(backend: RedisBackend) -> None:
    await asyncio.gather(
        *(commit(backend, appends(0, b"%d" % at), f"key{at}") for at in range(COUNT))
    )


async def is_full(backend: RedisBackend) -> bool:
    found = await asyncio.gather(*(load(backend, key=f"key{at}") for at in range(COUNT)))
    return [values(snapshot) for snapshot in found] == [[b"%d" % at] for at in range(COUNT)]


async def test_every_key_of_a_cluster_is_found_where_it_belongs(
    cluster: Cluster, clustered: RedisBackend
) -> None:
    await fill(clustered)
    assert await is_full(clustered)
    assert sorted(await clustered.keys(5)) == sorted(f"key{at}" for at in range(COUNT))
    assert all(int(server.ask("DBSIZE").strip(":")) > 0 for server in cluster.primaries)
    assert await clustered.delete("key1", 5)
    assert not await clustered.has("key1", 5)
    assert await clustered.touch("key2", 5) > 0


async def test_a_slot_that_has_moved_is_followed(cluster: Cluster, clustered: RedisBackend) -> None:
    await fill(clustered)
    key = next(str(at) for at in range(1_000_000) if slot_of(str(at)) % 97 == 5)
    owner = cluster.owner(slot_of(key))
    other = next(server for server in cluster.primaries if server is not owner)
    cluster.move(slot_of(key), other)
    assert (await commit(clustered, appends(0, b"moved"), key)).status == "committed"
    assert values(await load(clustered, key=key)) == [b"moved"]
    assert await is_full(clustered)


async def test_a_close_under_load_leaves_no_connection_to_a_cluster(
    cluster: Cluster, clustered: RedisBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jv_session_mw.backends.redis.cluster.SECONDS_BETWEEN_MAPS", 0.0)
    before = clients(cluster)
    await clustered.open(TIMEOUT)
    for server in cluster.servers:
        server.freeze()
    calls = [asyncio.create_task(load(clustered, key=f"key{at}")) for at in range(COUNT)]
    await asyncio.sleep(0)
    await clustered.close()
    for server in cluster.servers:
        server.thaw()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, StoreUnavailable)
    await eventually(lambda: len(asyncio.all_tasks()) == 1)
    await eventually(lambda: clients(cluster) == before)


async def test_a_slot_on_its_way_is_asked_for_at_both_ends_and_waited_for(
    cluster: Cluster, clustered: RedisBackend
) -> None:
    await fill(clustered)
    key = next(str(at) for at in range(1_000_000) if slot_of(str(at)) % 89 == 7)
    slot = str(slot_of(key))
    source = cluster.owner(slot_of(key))
    target = next(server for server in cluster.primaries if server is not source)
    target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
    source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
    assert not await clustered.has(key, 5)  # ASK, and the other end answers
    # Of several keys some are not there yet, as far as either end knows: TRYAGAIN.
    waits = asyncio.create_task(commit(clustered, appends(0, b"asked"), key))
    await asyncio.sleep(0.1)
    assert not waits.done()
    await asyncio.to_thread(cluster.move, int(slot), target)
    assert (await waits).status == "committed"
    assert values(await load(clustered, key=key)) == [b"asked"]
    assert int(target.do("CLUSTER", "COUNTKEYSINSLOT", slot).strip(":")) == 2


async def test_a_failover_of_a_cluster_is_found_out(new_valkey: Make) -> None:
    cluster = Cluster(new_valkey, primaries=3, replicas=1)
    backend = backend_to(cluster.url)
    await fill(backend)
    assert all(server.do("WAIT", "1", "5000") for server in cluster.primaries)
    key = "key7"
    cluster.owner(slot_of(key)).kill()
    await until_it_works(lambda: backend.commit(key, appends(1, b"after"), 0.3))
    assert b"after" in values(await load(backend, key=key))
    await backend.close()


async def test_a_primary_that_is_cut_off_from_the_others_is_left_for_the_one_that_they_promote(
    new_valkey: Make,
) -> None:
    def make(options: tuple[str, ...]) -> RedisServer:
        return new_valkey(options=(*options, "--enable-debug-command", "yes"))

    cluster = Cluster(make, primaries=3, replicas=1)
    backend = backend_to(cluster.url)
    await fill(backend)
    assert all(server.do("WAIT", "1", "5000") for server in cluster.primaries)
    cut_off = cluster.servers[0]  # it is the first in the URL, and has told who has which slot
    key = next(f"key{at}" for at in range(COUNT) if cluster.owner(slot_of(f"key{at}")) is cut_off)
    assert cut_off.do("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-2") == "+OK"
    await eventually(lambda: "cluster_state:fail" in cut_off.do("CLUSTER", "INFO"))
    await until_it_works(lambda: backend.commit(key, appends(1, b"after"), 0.3))
    assert "cluster_state:fail" in cut_off.do("CLUSTER", "INFO")
    assert b"after" in values(await load(backend, key=key))
    await backend.close()


async def test_a_failover_by_sentinels_is_found_out(new_valkey: Make) -> None:
    sentinels = Sentinels(new_valkey)
    backend = backend_to(sentinels.url)
    await fill(backend)
    assert sentinels.primary.do("WAIT", "1", "5000") == ":1"
    await asyncio.to_thread(sentinels.fail_over)
    await until_it_works(lambda: backend.ping(0.3))
    assert await is_full(backend)
    await backend.close()


async def test_a_primary_that_was_demoted_is_left_for_the_new_one(new_valkey: Make) -> None:
    """As behind a name or a proxy: the connection stays, and the server becomes a replica."""
    sentinels = Sentinels(new_valkey)
    backend = backend_to(sentinels.url)
    await fill(backend)
    old = sentinels.primary
    sentinels.sentinels[0].do("SENTINEL", "FAILOVER", SERVICE)
    await until_it_works(lambda: commit_where_it_is_not(backend, old))
    assert await is_full(backend)
    await backend.close()


async def commit_where_it_is_not(backend: RedisBackend, old: RedisServer) -> None:
    await backend.commit("probe", appends(0, b"x"), 0.3)
    if old.is_primary:
        raise StoreUnavailable("not yet", reason="test")


async def test_a_replica_is_read_and_refuses_to_write(new_valkey: Make) -> None:
    primary, replica = new_valkey(), new_valkey()
    backend = backend_to(replica.url)
    await commit(backend, appends(0, b"hi"))
    replica.do("REPLICAOF", HOST, str(primary.port))
    with pytest.raises(StoreUnavailable) as refused:
        await commit(backend, appends(1, b"ho"))
    assert (refused.value.reason, refused.value.only_writes) == ("readonly", True)
    await load(backend)
    await backend.close()


@pytest.mark.parametrize(
    ("url", "reason", "words"),
    [
        ("redis+sentinel://{sentinel}/nobody", "sentinel", "nobody"),
        ("redis+cluster://{single}", "cluster", "use redis://"),
        ("redis://{node}", "cluster", "use redis+cluster://"),
        ("redis://:wrong@{locked}", "auth", "password"),
    ],
)
async def test_what_leads_nowhere_is_named_in_the_log_and_in_health_and_memory_serves(  # noqa: PLR0917
    new_valkey: Make,
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
    url: str,
    reason: str,
    words: str,
) -> None:
    places = {"single": new_valkey(), "locked": new_valkey()}
    places["locked"].do("CONFIG", "SET", "requirepass", "right")
    if "sentinel" in url:
        places["sentinel"] = new_valkey(options=("--sentinel",))
    places["node"] = cluster.primaries[0]
    at = {name: f"{HOST}:{server.port}" for name, server in places.items()}
    with caplog.at_level(logging.WARNING, "jv_session_mw"):
        async with RedisConversationStore(url=url.format(**at), deadline=5.0) as store:
            for number in range(8):  # of a cluster, one node has some of the keys
                await store.set(f"id{number}", {"a": 1})
            health = await store.get_health()
            assert await store.get("id3") == {"a": 1}
    assert health.using_fallback
    assert any(f"({reason})" in line for line in caplog.messages)
    assert any(part in (health.last_error or "") for part in words.split("|"))


async def test_a_client_that_is_handed_in_says_where_and_is_not_touched(
    valkey: RedisServer,
) -> None:
    client = Redis(host=HOST, port=valkey.port, db=4, decode_responses=True)
    async with RedisConversationStore(client=client, fallback=None) as store:
        await store.set("id", {"a": "é"})
        assert await store.get("id") == {"a": "é"}
    assert await client.exists("conv:{id}") == 1
    await client.aclose()


async def test_a_client_of_sentinels_or_of_a_cluster_can_be_handed_in(
    new_valkey: Make, cluster: Cluster
) -> None:
    sentinels = Sentinels(new_valkey)
    manager = Sentinel([(HOST, sentinel.port) for sentinel in sentinels.sentinels])  # type: ignore[no-untyped-call]
    by_sentinel: Redis = manager.master_for(SERVICE)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    by_cluster = RedisCluster(host=HOST, port=cluster.primaries[1].port)
    for client in (by_sentinel, by_cluster):  # pyright: ignore[reportUnknownVariableType]
        async with RedisConversationStore(client=client, fallback=None) as store:  # pyright: ignore[reportUnknownArgumentType]
            for at in range(10):
                await store.set(f"id{at}", {"a": at})
            assert await store.size() >= 10
        assert await client.ping()  # pyright: ignore[reportUnknownMemberType]
        await client.aclose()
    await manager.aclose()


def test_a_client_and_a_url_are_one_too_many() -> None:
    with pytest.raises(ConfigurationError, match="one of them"):
        RedisConversationStore(client=Redis(), url="redis://localhost")
