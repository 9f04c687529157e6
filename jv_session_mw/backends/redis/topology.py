"""Makes the line to an address or a client: it fails fast, and redis-py repeats nothing."""

from collections.abc import Callable
from typing import Any, cast

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from jv_session_mw.arguments import kind_of
from jv_session_mw.backends.redis.address import Address, Node
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.redis.cluster import ClusterLine
from jv_session_mw.backends.redis.line import Line, SingleLine
from jv_session_mw.errors import ConfigurationError

Options = dict[str, Any]
Connect = Callable[[Delivery], Line]
Client = Redis | RedisCluster
Credentials = CredentialProvider

# redis-py checks a pooled connection for unread bytes only with RESP2. A connection that is one
# reply behind would give every request somebody else's conversation.
RESP2 = 2

# Options of a client's connections that only make sense for that client, or for RESP3.
OF_THE_CLIENT = (
    "connection_pool", "connection_class", "max_connections", "response_callbacks", "himport_",
    "maint_", "oss_", "orig_", "event_dispatcher", "host", "port", "path",
)  # fmt: skip

TIMEOUTS = ("socket_connect_timeout", "socket_timeout")


def connection_options(connect_timeout: float, read_timeout: float) -> Options:
    """Return the options that every connection has, whatever the address says, in seconds."""
    return {
        "protocol": RESP2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "retry_on_timeout": False,
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": read_timeout,
        "socket_keepalive": True,
        "health_check_interval": 0,
    }


def connect_to(address: Address, ours: Options) -> Connect:
    """Return a function that makes a line to *address*; bad options raise `ConfigurationError`."""
    options = {**address.options, **ours}
    kind: type[Any] = options.pop("connection_class", Connection)
    if address.kind == "cluster":
        return _cluster(address.nodes, kind, options)
    if address.kind == "sentinel":
        return _sentinels(address, kind, options, ours)
    if address.nodes:  # a socket has none
        node = address.nodes[0]
        if "/" in node.host or "@" in node.host:  # a URL, with its password
            raise ConfigurationError(
                "REDIS_HOST or host= is no name of a host: a URL belongs into REDIS_URL or url="
            )
        options |= node._asdict()
    return _single(kind, options)


def connect_like(client: Client, ours: Options) -> Connect:
    """Return a function that makes a line to where *client* leads, with connections of its own.

    The client is neither used nor closed: it may be shared, decode its replies, or retry. Its
    address, credentials, TLS options and class of connections are taken over. Raises
    `ConfigurationError` for what is no client of `redis.asyncio`, and for bad options.
    """
    if not isinstance(client, Client):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"client= is {kind_of(client)}: give a client of redis.asyncio")
    if isinstance(client, RedisCluster):
        given: Options = client.get_connection_kwargs()
        cluster_kind: type[Any] = given.get("connection_class", Connection)
        nodes = client.nodes_manager.startup_nodes.values()
        seeds = tuple(Node(node.host, int(node.port)) for node in nodes)
        return _cluster(seeds, cluster_kind, _without_its_own(given) | ours)
    pool = client.connection_pool
    kind, options = pool.connection_class, _without_its_own(pool.connection_kwargs) | ours
    if isinstance(pool, SentinelConnectionPool):
        return _managed(pool, kind, options)
    where = ("host", "port", "path")
    return _single(
        kind,
        options
        | {name: pool.connection_kwargs[name] for name in where if name in pool.connection_kwargs},
    )


def _single(kind: type[Any], options: Options) -> Connect:
    if issubclass(kind, UnixDomainSocketConnection):
        options = {name: value for name, value in options.items() if name != "socket_keepalive"}
    _check(kind, options)
    return lambda delivery: SingleLine(_client(kind, options), delivery)


def _cluster(seeds: tuple[Node, ...], kind: type[Any], options: Options) -> Connect:
    _check(kind, options)
    return lambda delivery: ClusterLine(
        seeds, lambda node: _client(kind, {**options, **node._asdict()}), delivery
    )


def _sentinels(address: Address, kind: type[Any], options: Options, ours: Options) -> Connect:
    _check(kind, options)
    # The sentinels have the TLS options of the servers, but credentials of their own.
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    if kind is SSLConnection:
        tls["ssl"] = True
    to_sentinels = {**tls, **address.sentinel_options, **ours}
    del to_sentinels["retry_on_timeout"]
    managed = SentinelManagedSSLConnection if kind is SSLConnection else SentinelManagedConnection

    def connect(delivery: Delivery) -> Line:
        # They are asked one by one: even if all but the last are silent, time is left for the
        # primary.
        each = delivery.give_up_after / (len(address.nodes) + 1)
        brief = {name: min(each, to_sentinels[name]) for name in TIMEOUTS}
        manager = Sentinel(list(address.nodes), sentinel_kwargs=to_sentinels | brief)  # type: ignore[no-untyped-call]
        client = _client_of(manager, address.service, managed, options)
        return SingleLine(client, delivery, manager)

    return connect


def _managed(pool: SentinelConnectionPool, kind: type[Any], options: Options) -> Connect:
    """Return a function that makes a line by the sentinels of a client's *pool*."""
    _check(kind, {**options, "connection_pool": pool})
    service = cast("str", pool.service_name)  # pyright: ignore[reportUnknownMemberType]
    manager = cast("Sentinel", pool.sentinel_manager)  # pyright: ignore[reportUnknownMemberType]
    return lambda delivery: SingleLine(_client_of(manager, service, kind, options), delivery)


def _client(kind: type[Any], options: Options) -> Redis:
    return Redis.from_pool(ConnectionPool(connection_class=kind, **options))


def _client_of(manager: Sentinel, service: str, kind: type[Any], options: Options) -> Redis:
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        service, manager, connection_class=kind, **options
    )
    return Redis.from_pool(pool)


def _without_its_own(options: Options) -> Options:
    return {name: value for name, value in options.items() if not name.startswith(OF_THE_CLIENT)}


def _check(kind: type[Any], options: Options) -> None:
    """Make a connection object, which does not connect yet, so that a bad option fails at start."""
    try:
        kind(**options)
    except (TypeError, ValueError, RedisError) as error:
        raise ConfigurationError(f"the options for Redis do not work: {error}") from None
