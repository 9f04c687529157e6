"""Bad configuration is a ConfigurationError at start, which names the culprit."""

import asyncio
import math
import socket
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from jv_session_mw import (
    ConfigurationError,
    ConversationMiddleware,
    Cookie,
    Header,
    MemoryConversationStore,
    RedisConversationStore,
    create_conversation_store,
)
from jv_session_mw.cli.server import HOST
from jv_session_mw.tracking import MemorySessionTracker

NO_SECONDS: list[object] = [0, -1, math.nan, math.inf, -math.inf, "60", True]
NO_COUNT: list[object] = [0, -1, 1.5, "5", True, math.nan]
ENDLESS = 1e300  # more milliseconds than a server can count
BOTH: dict[str, list[object]] = {
    "ttl_seconds": [*NO_SECONDS, None, ENDLESS],
    "max_lifetime_seconds": [*NO_SECONDS, ENDLESS],
    "max_messages": NO_COUNT,
    "window": [*NO_COUNT, None],
    "on_conflict": ["last", "", None, True],
    "state_type": [int, list, dict[str, Any]],
}
REDIS: dict[str, list[object]] = {
    **BOTH,
    "url": ["", "http://host", "redis://", "redis://host:port", "host:6379"],
    "port": [0, -1, 65_536, "6379", 1.5, True],
    "db": [-1, "0", 1.5, True],
    "connect_timeout": [*NO_SECONDS, None],
    "deadline": [*NO_SECONDS, None],
    "fallback": ["redis", "", True, "none"],
    "recovery": ["never", "", None],
}
MEMORY: dict[str, list[object]] = {
    **BOTH,
    "max_entries": [*NO_COUNT, None],
    "max_bytes": [*NO_COUNT, None],
}


def cases(table: dict[str, list[object]]) -> list[tuple[str, object]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(REDIS))
def test_a_bad_argument_of_the_redis_store_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name) as refused:
        RedisConversationStore(**{name: value})
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(("name", "value"), cases(MEMORY))
def test_a_bad_argument_of_the_memory_store_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        MemoryConversationStore(**{name: value})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("REDIS_URL", "localhost"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_PORT", "port"),
        ("REDIS_PORT", "70000"),
        ("REDIS_DB", "zero"),
        ("REDIS_CONVERSATION_TTL", "0"),
        ("REDIS_CONVERSATION_TTL", "soon"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError, match=name):
        create_conversation_store()


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        create_conversation_store(no_such_option=1)


async def test_nothing_connects_before_it_is_used() -> None:
    with socket.create_server((HOST, 0)) as listener:
        listener.setblocking(False)
        port: int = listener.getsockname()[1]
        stores = [
            RedisConversationStore(host=HOST, port=port),
            RedisConversationStore(url=f"redis://{HOST}:{port}/15"),
        ]
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):  # nobody waits to be accepted
            listener.accept()
        for store in stores:
            await store.close()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do nothing: these middlewares are never called."""


BAD_MIDDLEWARE: list[tuple[Callable[[], object], str]] = [
    (lambda: make(secret_keys=()), "JV_SESSION_SECRET_KEYS"),
    (lambda: make(secret_keys=[""]), "JV_SESSION_SECRET_KEYS"),
    (lambda: make(secret_keys=""), "JV_SESSION_SECRET_KEYS"),
    (lambda: make(secret_keys=None), "JV_SESSION_SECRET_KEYS"),
    (lambda: make(secret_keys={"of", "no", "order"}), "secret_keys"),
    (lambda: make(secret_keys=5), "secret_keys"),
    (lambda: make(tracker=MemorySessionTracker(), track={"snapshot": True}), "track"),
    (lambda: make(load="later"), "load"),
    (lambda: make(resolvers=()), "resolvers"),
    (lambda: make(resolvers=[Cookie("a b")]), "cookie"),
    (lambda: make(resolvers=[Header("a b")]), "header"),
]


def make(**options: Any) -> ConversationMiddleware:
    defaults: dict[str, Any] = {"store": MemoryConversationStore(), "secret_keys": ["k" * 32]}
    return ConversationMiddleware(app, **(defaults | options))


@pytest.mark.parametrize(("build", "name"), BAD_MIDDLEWARE)
def test_a_bad_argument_of_the_middleware_is_named(
    monkeypatch: pytest.MonkeyPatch, build: Callable[[], object], name: str
) -> None:
    monkeypatch.delenv("JV_SESSION_SECRET_KEYS", raising=False)
    with pytest.raises(ConfigurationError, match=name):
        build()


def test_a_middleware_takes_its_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JV_SESSION_SECRET_KEYS", "k" * 32)
    assert isinstance(make(secret_keys=None), ConversationMiddleware)


def test_who_wants_no_end_is_told_how_long_is_possible() -> None:
    with pytest.raises(ConfigurationError, match=r"ttl_seconds=99999999999: .* a century at most"):
        RedisConversationStore(ttl_seconds=99_999_999_999)


@pytest.mark.parametrize("value", [0.001, 1, 3600, 10 * 365 * 86_400])
def test_a_ttl_may_be_short_or_long(value: float) -> None:
    assert RedisConversationStore(ttl_seconds=value).rules.ttl_ms == max(1, value * 1000)
