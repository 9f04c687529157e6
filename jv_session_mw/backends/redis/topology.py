"""From an address to a line that fails fast and never repeats a command by itself."""

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

from jv_session_mw.backends.redis.address import Address, Node
from jv_session_mw.backends.redis.batching import Patience
from jv_session_mw.backends.redis.cluster import ClusterLine
from jv_session_mw.backends.redis.line import Line, SingleLine
from jv_session_mw.errors import ConfigurationError

Options = dict[str, Any]
Connect = Callable[[Patience], Line]
Client = Redis | RedisCluster
Credentials = CredentialProvider

# redis-py checks a pooled connection for unread bytes only with RESP2, and a connection that is one
# reply behind gives every request somebody else's conversation.
RESP2 = 2

# What a client gives its connections that is that client's own, or is about RESP3.
OF_THE_CLIENT = (
    "connection_pool", "connection_class", "max_connections", "response_callbacks", "himport_",
    "maint_", "oss_", "orig_", "event_dispatcher", "host", "port", "path",
)  # fmt: skip


def time_outs(connect_timeout: float, read_timeout: float) -> Options:
    """Return what every connection has, whatever the address says; times are in seconds."""
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


def line_to(address: Address, ours: Options) -> Connect:
    """Return what makes a line to *address*; raise `ConfigurationError` for bad options."""
    options = {**address.options, **ours}
    kind: type[Any] = options.pop("connection_class", Connection)
    if kind is UnixDomainSocketConnection:
        del options["socket_keepalive"]
        return _checked(
            lambda patience: SingleLine(_client(kind, options), patience), kind, options
        )
    if address.kind == "cluster":
        return _checked(_cluster(address.nodes, kind, options), kind, options)
    if address.kind == "sentinel":
        return _checked(_sentinel(address, kind, options, ours), kind, options)
    options |= address.nodes[0]._asdict()
    return _checked(lambda patience: SingleLine(_client(kind, options), patience), kind, options)


def line_of(client: Client, ours: Options) -> Connect:
    """Return what makes a line where *client* leads, by connections of its own.

    The client is neither used nor closed: it may be shared, decode its replies, or retry. Of it are
    taken the address, the credentials, the TLS options and the class of its connections.
    """
    if not isinstance(client, Client):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"client={client!r}: give a client of redis.asyncio")
    if isinstance(client, RedisCluster):
        options: Options = client.get_connection_kwargs()
        kind: type[Any] = options.get("connection_class", Connection)
        nodes = client.nodes_manager.startup_nodes.values()
        seeds = tuple(Node(node.host, int(node.port)) for node in nodes)
        options = _without_its_own(options) | ours
        return _checked(_cluster(seeds, kind, options), kind, options)
    pool = client.connection_pool
    kind, options = pool.connection_class, _without_its_own(pool.connection_kwargs) | ours
    if isinstance(pool, SentinelConnectionPool):
        service = cast("str", pool.service_name)  # pyright: ignore[reportUnknownMemberType]
        manager = cast("Sentinel", pool.sentinel_manager)  # pyright: ignore[reportUnknownMemberType]
        return _checked(
            lambda patience: SingleLine(_managed(service, manager, kind, options), patience),
            kind,
            {**options, "connection_pool": pool},
        )
    if issubclass(kind, UnixDomainSocketConnection):
        del options["socket_keepalive"]
    options |= {
        str(name): pool.connection_kwargs[name]
        for name in ("host", "port", "path")
        if name in pool.connection_kwargs
    }
    return _checked(lambda patience: SingleLine(_client(kind, options), patience), kind, options)


def _client(kind: type[Any], options: Options) -> Redis:
    return Redis.from_pool(ConnectionPool(connection_class=kind, **options))


def _cluster(seeds: tuple[Node, ...], kind: type[Any], options: Options) -> Connect:
    return lambda patience: ClusterLine(
        seeds, lambda node: _client(kind, {**options, "host": node[0], "port": node[1]}), patience
    )


def _sentinel(address: Address, kind: type[Any], options: Options, ours: Options) -> Connect:
    # Of TLS, what holds for the servers holds for the sentinels; the credentials are their own.
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    if kind is SSLConnection:
        tls["ssl"] = True
    to_sentinels = {**tls, **address.sentinel_options, **ours}
    del to_sentinels["retry_on_timeout"]
    managed = SentinelManagedSSLConnection if kind is SSLConnection else SentinelManagedConnection

    def connect(patience: Patience) -> Line:
        manager = Sentinel(list(address.nodes), sentinel_kwargs=to_sentinels)  # type: ignore[no-untyped-call]
        return SingleLine(_managed(address.service, manager, managed, options), patience, manager)

    return connect


def _managed(service: str, manager: Sentinel, kind: type[Any], options: Options) -> Redis:
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        service, manager, connection_class=kind, **options
    )
    return Redis.from_pool(pool)


def _without_its_own(options: Options) -> dict[str, Any]:
    return {name: value for name, value in options.items() if not name.startswith(OF_THE_CLIENT)}


def _checked(connect: Connect, kind: type[Any], options: Options) -> Connect:
    """Make one connection, which does not connect yet, so that a bad option is seen at start."""
    try:
        kind(**options)
    except (TypeError, ValueError, RedisError) as error:
        raise ConfigurationError(f"the connection to Redis cannot be made so: {error}") from None
    return connect
