"""From URL and arguments to a client that fails fast and never repeats a command by itself."""

from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jv_session_mw.backends.redis.batching import LANES
from jv_session_mw.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")


class Address(Struct, frozen=True, kw_only=True):
    """Where the server is; *url* wins over the parts. Time-outs are in seconds."""

    url: str | None
    host: str
    port: int
    db: int
    password: str | None
    tls: bool
    connect_timeout: float
    read_timeout: float


def connector(address: Address) -> Callable[[], Redis]:
    """Return what makes the client of *address*; raise `ConfigurationError` for a bad URL."""
    if address.url is None:
        return lambda: _from_parts(address)
    url = address.url
    check_url(url)
    return lambda: _from_url(url, address)


def check_url(url: str) -> None:
    """Raise `ConfigurationError` unless *url* can name a server. It never shows a password."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"REDIS_URL or url= has the scheme {parts.scheme!r}: "
            "use redis://, rediss:// (TLS) or unix://"
        )
    try:
        # Reading the port is what checks it.
        complete = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0
    except ValueError as error:
        raise ConfigurationError(f"REDIS_URL or url= has a bad port: {error}") from error
    database = parts.path.strip("/")
    if not complete or (parts.scheme != "unix" and database and not database.isdecimal()):
        raise ConfigurationError(
            "REDIS_URL or url= is incomplete: write redis://host:6379/0, with the database number "
            "last, or unix:///path/to/socket"
        )


def _from_url(url: str, address: Address) -> Redis:
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=address.connect_timeout,
        socket_timeout=address.read_timeout,
        socket_keepalive=True,
        max_connections=LANES + 1,
    )


def _from_parts(address: Address) -> Redis:
    # RESP2: redis-py checks a pooled connection for unread bytes only there, and a connection
    # that is one reply behind gives every request somebody else's conversation.
    return Redis(
        host=address.host,
        port=address.port,
        db=address.db,
        password=address.password,
        ssl=address.tls,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=address.connect_timeout,
        socket_timeout=address.read_timeout,
        socket_keepalive=True,
        max_connections=LANES + 1,
    )
