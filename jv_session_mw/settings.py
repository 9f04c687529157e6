"""What the environment says; only the commands read variables of their own besides."""

import os
from collections.abc import Mapping

from msgspec import Struct

from jv_session_mw.arguments import A_CENTURY
from jv_session_mw.errors import ConfigurationError

SECRET_KEYS = "JV_SESSION_SECRET_KEYS"
SUPABASE_URL = "SUPABASE_URL"
SUPABASE_SERVICE_KEY = "SUPABASE_SERVICE_KEY"


class Settings(Struct, frozen=True, kw_only=True):
    """What the environment says about the store, the tokens and the tracker.

    `url` wins over `host`, `port`, `password` and `db`, as a hosting service sets only that one.
    """

    url: str | None = None
    host: str = "localhost"
    port: int = 6379
    password: str | None = None
    db: int = 0
    ttl_seconds: float = 3600
    secret_keys: tuple[str, ...] = ()
    supabase_url: str | None = None
    supabase_service_key: str | None = None

    __repr__ = object.__repr__  # a secret has no place in a log

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read `REDIS_*`, `SUPABASE_*` and `JV_SESSION_SECRET_KEYS`; an empty one is not set.

        Raises `ConfigurationError`, naming the variable, for what is not a number.
        """
        default = cls()
        return cls(
            url=environ.get("REDIS_URL") or None,
            host=environ.get("REDIS_HOST") or default.host,
            port=_port(environ, "REDIS_PORT", default.port),
            password=environ.get("REDIS_PASSWORD") or None,
            db=_integer(environ, "REDIS_DB", default.db),
            ttl_seconds=_seconds(environ, "REDIS_CONVERSATION_TTL", default.ttl_seconds),
            secret_keys=_keys(environ.get(SECRET_KEYS, "")),
            supabase_url=environ.get(SUPABASE_URL) or None,
            supabase_service_key=environ.get(SUPABASE_SERVICE_KEY) or None,
        )


def _integer(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    return _whole(name, text, text)


def _whole(name: str, text: str, digits: str) -> int:
    try:
        value = int(digits)
    except ValueError as error:
        raise ConfigurationError(f"{name} is {text!r}: give a whole number") from error
    if value < 0:
        raise ConfigurationError(f"{name} is {text!r}: give a number that is not negative")
    return value


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    """Read a port, or the one at the end of what Kubernetes sets for a service named redis.

    That is an address such as `tcp://10.0.0.1:6379`, whoever asked for it.
    """
    text = environ.get(name) or str(default)
    port = _whole(name, text, text.rpartition(":")[2] if text.startswith("tcp://") else text)
    if not 0 < port <= 65_535:
        raise ConfigurationError(f"{name} is {port}: give a port from 1 to 65535")
    return port


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} is {text!r}: give a number of seconds") from error
    if not 0 < value <= A_CENTURY:
        raise ConfigurationError(
            f"{name} is {text!r}: give a positive number of seconds, those of a century at most"
        )
    return value


def _keys(text: str) -> tuple[str, ...]:
    return tuple(key for key in (part.strip() for part in text.split(",")) if key)
