"""From an address to a client: what cannot work is said at once, and a restart is survived."""

import asyncio
from collections.abc import Callable

import pytest

from jv_session_mw import RedisConversationStore
from jv_session_mw.backends.redis.address import Address, Node, read_url
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.topology import Connect, connect_to, connection_options
from jv_session_mw.changes import Rules
from jv_session_mw.cli.server import free_port
from jv_session_mw.errors import ConfigurationError, StoreUnavailable
from tests.backends.harness import (
    DELIVERY,
    KEY,
    TIMEOUT,
    TTL_MS,
    Bytes,
    appends,
    commit,
    connect,
    load,
    redis_backend,
    sets,
    until_it_works,
    values,
)
from tests.servers import RedisServer
from tests.topologies import Sentinels

SECRET = "pa55word"


def at(port: int, **options: str | int | None) -> Connect:
    """Return what makes a line to *port* of this machine, as from arguments."""
    address = Address(kind="single", nodes=(Node("127.0.0.1", port),), options=options)
    return connect_to(address, connection_options(TIMEOUT, TIMEOUT))


def backend_at(line: Connect, prefix: str = "conv:") -> RedisBackend:
    return RedisBackend(line, Rules(TTL_MS), prefix=prefix, delivery=DELIVERY)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:6379",
        "http://localhost",
        "REDIS://",
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://localhost:port",
        "redis://localhost:70000",
        "redis://localhost:0",
        "redis://localhost/zero",
        "redis://localhost/-1",
        "redis://localhost/0/1",
        "redis://[::1",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?db=zero",
        "redis://localhost?nonsense=1",
        "unix://",
        "redis://one,two",
        "redis+sentinel://one:1",
        "redis+sentinel:///main",
        "redis+sentinel://one,:2/main",
        "redis+sentinel://one/main/zero",
        "redis+sentinel://one/main?db_password=x",
        "redis+cluster://",
        "redis+cluster://one,two:port",
        "redis+cluster://one/1",
        "redis+cluster://one?sentinel_password=x",
        "redis+ring://one",
        "unix+cluster:///run/redis.sock",
        f"http://:{SECRET}@localhost",
        f"redis://:{SECRET}@localhost:port",
        f"redis://:{SECRET}@localhost/zero",
        f"redis://:{SECRET}@[::1",
    ],
)
def test_a_url_that_names_no_server_is_refused_at_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as refused:
        connect_to(read_url(url), connection_options(TIMEOUT, TIMEOUT))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("mark", ["/", "#", "?", "?db=", "?db=1&"])
def test_a_password_that_is_not_encoded_is_not_shown_and_is_said_to_be_the_cause(mark: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode") as refused:
        read_url(f"redis://:my{mark}{SECRET}@localhost:6379/0")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost/",
        "redis://localhost:6379/15",
        "redis://user:pass@host.example:6380/1",
        "rediss://localhost",
        "redis://[::1]:6379/0",
        "unix:///run/redis.sock",
        "redis://localhost?db=3",
        "redis+sentinel://one:1,two/main/3?sentinel_password=secret",
        "rediss+sentinel://user:pass@one/main?ssl_cert_reqs=none",
        "redis+cluster://one:1,two:2",
        "rediss+cluster://user:pass@[::1]:1/0",
    ],
)
async def test_a_url_that_names_servers_makes_a_line(url: str) -> None:
    await connect(url)(DELIVERY).close()


async def test_host_and_port_reach_the_server(redis_server: RedisServer) -> None:
    backend = backend_at(at(redis_server.port))
    assert (await commit(backend, sets(a=b"1"))).version == 1
    await backend.close()


async def test_the_number_of_the_database_is_used(valkey: RedisServer) -> None:
    stored = Bytes(valkey)
    for number, line in enumerate((at(valkey.port, db=3), connect(f"{valkey.url}/3"))):
        backend = backend_at(line, f"{number}:")
        await commit(backend, sets(a=b"1"))
        await backend.close()
    assert stored.keys() == set()
    stored.do("SELECT", 3)
    assert stored.keys() == {b"0:{key}", b"1:{key}"}
    stored.close()


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_a_wrong_password_is_unavailable_and_not_shown(
    own_valkey: RedisServer, given: str | None
) -> None:
    own_valkey.ask(f"CONFIG SET requirepass {SECRET}")
    backend = backend_at(at(own_valkey.port, password=given))
    with pytest.raises(StoreUnavailable) as refused:
        await load(backend)
    assert refused.value.reason == "auth"
    assert SECRET not in str(refused.value)
    assert "wrong" not in str(refused.value.__cause__).replace("WRONGPASS", "")
    await backend.close()
    right = backend_at(at(own_valkey.port, password=SECRET))
    await load(right)
    await right.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    backend = backend_at(at(free_port()))
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as refused:
            await load(backend)
        assert refused.value.reason == "connection"
    with pytest.raises(StoreUnavailable):
        await backend.open(TIMEOUT)
    await backend.close()


async def test_a_server_that_is_silent_is_unavailable_within_the_time(
    own_valkey: RedisServer,
) -> None:
    backend = redis_backend(own_valkey)
    await backend.ping(TIMEOUT)
    own_valkey.freeze()
    with pytest.raises(StoreUnavailable) as refused:
        await backend.load(KEY, 50, 0.05)
    assert refused.value.reason == "timeout"
    own_valkey.thaw()
    assert (await load(backend)).version == 0
    await backend.close()


async def test_a_restart_between_two_calls_is_survived(
    new_valkey: Callable[..., RedisServer],
) -> None:
    server = new_valkey(persistent=True)
    backend = redis_backend(server)
    await commit(backend, appends(0, b"hi"))
    for at in range(2):
        server.restart()
        assert values(await load(backend)) == [b"hi"]
        server.restart()
        assert (await commit(backend, sets(1, a=b"1"))).version == at + 2
    await backend.close()


async def test_a_restart_of_an_emptied_server_finds_nothing(own_valkey: RedisServer) -> None:
    backend = redis_backend(own_valkey)
    await commit(backend, appends(0, b"hi"))
    own_valkey.restart()
    assert (await commit(backend, appends(1, b"ho"))).status == "gone"
    assert (await load(backend)).version == 0
    await backend.close()


def test_one_backend_serves_one_event_loop_after_another(valkey: RedisServer) -> None:
    backend = redis_backend(valkey)

    async def turn(version: int) -> int:
        try:
            return (await commit(backend, appends(version, b"hi"))).version
        finally:
            await backend.close()

    assert [asyncio.run(turn(version)) for version in range(3)] == [1, 2, 3]


def test_no_password_is_in_what_is_printed() -> None:
    assert SECRET not in repr(at(1, password=SECRET))


async def test_one_sentinel_that_answers_is_enough(new_valkey: Callable[..., RedisServer]) -> None:
    sentinels = Sentinels(new_valkey)
    *silent, _ = sentinels.sentinels
    for sentinel in silent:
        sentinel.freeze()
    async with RedisConversationStore(url=sentinels.url, fallback=None) as store:
        await until_it_works(lambda: store.has("id"))


@pytest.mark.parametrize("url", ["redis://:{}@host", "redis+sentinel://:{}@host:1/main"])
def test_an_address_shows_no_password(url: str) -> None:
    address = read_url(url.format(SECRET))
    assert address.options["password"] == SECRET
    assert SECRET not in f"{address} {address!r}"
