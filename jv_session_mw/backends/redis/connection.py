"""From URL and arguments to a client that fails fast and never repeats a command by itself."""

from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, urlsplit

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jv_session_mw.backends.redis.batching import LANES
from jv_session_mw.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")
COMPLETE = (
    "is written redis://host:6379/0, with the database number last, or unix:///path/to/socket"
)

# redis-py checks a pooled connection for unread bytes only with RESP2, and a connection that is one
# reply behind gives every request somebody else's conversation.
RESP2 = 2


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
    try:
        _check(urlsplit(url))
        pool = _from_url(url, address).connection_pool
        pool.make_connection()  # type: ignore[no-untyped-call]  # it does not connect yet
    except (ValueError, TypeError) as error:
        # Whatever is wrong with it: the URL itself may hold a password, and is not shown.
        raise ConfigurationError(f"REDIS_URL or url= {_complaint(error)}") from None
    return lambda: _from_url(url, address)


def _check(parts: SplitResult) -> None:
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"has the scheme {parts.scheme!r}: use redis://, rediss:// (TLS) or unix://"
        )
    for name in parse_qs(parts.query, keep_blank_values=True):
        if name != "db" and not name.startswith("ssl_"):
            raise ConfigurationError(
                f"has the option {name!r}: only db and those of TLS (ssl_...) are taken from it; "
                "time-outs are arguments"
            )
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if not place or parts.port == 0:
        raise ConfigurationError(COMPLETE)
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise ConfigurationError(COMPLETE)


def _complaint(error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"cannot be used: its host, port, database or one of its options is wrong. It {COMPLETE}"


def _from_url(url: str, address: Address) -> Redis:
    # A Unix socket has no keep-alive, and its connection takes no such argument.
    keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=RESP2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=address.connect_timeout,
        socket_timeout=address.read_timeout,
        max_connections=LANES + 1,
        **keepalive,
    )


def _from_parts(address: Address) -> Redis:
    return Redis(
        host=address.host,
        port=address.port,
        db=address.db,
        password=address.password,
        ssl=address.tls,
        protocol=RESP2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=address.connect_timeout,
        socket_timeout=address.read_timeout,
        socket_keepalive=True,
        max_connections=LANES + 1,
    )
