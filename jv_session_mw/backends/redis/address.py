"""What a URL says: where the servers are, and how to connect to them."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, parse_qs, urlsplit

from msgspec import Struct
from redis.asyncio.connection import SSLConnection, parse_url

from jv_session_mw.arguments import kind_of
from jv_session_mw.errors import ConfigurationError

Kind = Literal["single", "sentinel", "cluster"]

BASES = ("redis", "rediss")
KINDS: Mapping[str, Kind] = {"": "single", "sentinel": "sentinel", "cluster": "cluster"}
COMPLETE: Mapping[Kind, str] = {
    "single": "is written redis://host:6379/0, with the database number last, "
    "or unix:///path/to/socket",
    "sentinel": "is written redis+sentinel://host:26379,host:26379/service/0",
    "cluster": "is written redis+cluster://host:6379,host:6379",
}
PORTS: Mapping[Kind, int] = {"single": 6379, "sentinel": 26_379, "cluster": 6379}
OF_SENTINELS = "sentinel_"


class Node(NamedTuple):
    """One address to connect to."""

    host: str
    port: int


class Address(Struct, frozen=True, kw_only=True):
    """Where the servers are, and *options* of redis-py for the connection to each.

    *nodes* are the servers themselves, or the sentinels that know where *service* is. A socket
    has no node; its path is an option.
    """

    kind: Kind
    nodes: tuple[Node, ...] = ()
    service: str = ""
    options: Mapping[str, Any]
    sentinel_options: Mapping[str, Any] = {}

    __repr__ = object.__repr__  # a password has no place in a log


def read_url(url: str) -> Address:
    """Return what *url* says, or raise `ConfigurationError`, which never shows the URL."""
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"url= is {kind_of(url)}: give a string")
    try:
        return _read(url)
    except (ValueError, TypeError) as error:
        # `from None`: the error underneath may show the URL, and with it a password.
        complaint = f"REDIS_URL or url= {_complaint(error, url)}"
        raise ConfigurationError(complaint + _hint_at_password(url)) from None


def read_parts(
    host: str, port: int, db: int, username: str | None, password: str | None, *, tls: bool
) -> Address:
    """Return the address of one server, given in its parts."""
    login = {"db": db, "username": username, "password": password}
    options = {**login, "connection_class": SSLConnection} if tls else login
    return Address(kind="single", nodes=(Node(host, port),), options=options)


def _read(url: str) -> Address:
    parts = urlsplit(url)
    base, _, name = parts.scheme.partition("+")
    if parts.scheme != "unix" and (base not in BASES or name not in KINDS):
        raise ConfigurationError(
            f"has the scheme {parts.scheme!r}: use redis://, rediss:// (TLS), unix://, "
            "redis+sentinel:// or redis+cluster://"
        )
    kind = KINDS[name]
    _check_options(parts, kind)
    if parts.scheme == "unix":
        if not parts.path:
            raise ConfigurationError(COMPLETE[kind])
        return Address(kind=kind, options=dict(parse_url(url)))
    user, _, places = parts.netloc.rpartition("@")
    nodes = tuple(_node(place, kind) for place in places.split(","))
    if kind == "single" and len(nodes) > 1:
        raise ConfigurationError(COMPLETE[kind])
    service, database = _path(parts, kind)
    login = f"{user}@" if user else ""
    options = dict(parse_url(f"{base}://{login}host/{database}?{parts.query}"))
    del options["host"]
    for_servers, for_sentinels = _split(options)
    return Address(
        kind=kind, nodes=nodes, service=service, options=for_servers, sentinel_options=for_sentinels
    )


def _split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for the servers, and those for the sentinels under their own names."""
    servers: dict[str, Any] = {}
    sentinels: dict[str, Any] = {}
    for name, value in options.items():
        if name.startswith(OF_SENTINELS):
            sentinels[name.removeprefix(OF_SENTINELS)] = value
        else:
            servers[name] = value
    return servers, sentinels


def _node(place: str, kind: Kind) -> Node:
    one = urlsplit(f"//{place}")
    if not one.hostname or one.port == 0:
        raise ConfigurationError(COMPLETE[kind])
    return Node(one.hostname, one.port or PORTS[kind])


def _path(parts: SplitResult, kind: Kind) -> tuple[str, str]:
    """Return the name of the service, empty without sentinels, and the database's number."""
    service, database = "", parts.path.strip("/")
    if kind == "sentinel":
        service, _, database = database.partition("/")
        if not service:
            raise ConfigurationError(COMPLETE[kind])
    if database and not database.isdecimal():
        raise ConfigurationError(COMPLETE[kind])
    if kind == "cluster" and int(database or 0):
        raise ConfigurationError("names a database: a cluster has none but 0")
    return service, database


def _check_options(parts: SplitResult, kind: Kind) -> None:
    allowed = {"db"}
    if kind == "sentinel":
        allowed |= {f"{OF_SENTINELS}username", f"{OF_SENTINELS}password"}
    for name in parse_qs(parts.query, keep_blank_values=True):
        if name not in allowed and not name.startswith("ssl_"):
            if "@" in parts.query:
                raise ValueError("options")  # it may be the rest of a password: not shown
            raise ConfigurationError(
                f"has the option {name!r}: only db and those of TLS (ssl_...) are taken from it; "
                "time-outs are arguments"
            )


def _complaint(error: Exception, url: str) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    scheme = url.partition(":")[0]
    kind = KINDS.get(scheme.partition("+")[2], "single")
    return (
        "cannot be used: its host, port, database or one of its options is wrong. "
        f"It {COMPLETE[kind]}"
    )


def _hint_at_password(url: str) -> str:
    """Say what to do about a password that seems to end early, at one of `/?#`."""
    scheme, _, rest = url.partition("://")
    is_cut = scheme != "unix" and any(mark in rest.rpartition("@")[0] for mark in "/?#")
    return "; percent-encode what is special in its password" if is_cut else ""
