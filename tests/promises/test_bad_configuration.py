"""Promise: what cannot work is a `ConfigurationError` at start, which says what to do about it."""

import dataclasses
import math
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis
from starlette.testclient import TestClient
from starlette.types import Scope

from jv_session_mw import (
    ConfigurationError,
    ConversationMiddleware,
    Cookie,
    Header,
    MemoryConversationStore,
    RedisConversationStore,
    create_conversation_store,
)
from jv_session_mw.codec import JsonCodec
from jv_session_mw.tracking import MemorySessionTracker
from tests.promises.apps import KEYS, chat
from tests.promises.serving import WebServer

VARIABLES = (
    "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB",
    "REDIS_CONVERSATION_TTL", "JV_SESSION_SECRET_KEYS",
)  # fmt: skip


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


class NeedsAnArgument(msgspec.Struct):
    name: str


@dataclasses.dataclass
class NeedsOneToo:
    name: str


async def asynchronous(scope: Scope) -> str:
    raise AssertionError


class Asynchronous:
    async def __call__(self, scope: Scope) -> str:
        raise AssertionError


NO_SECONDS: list[object] = [0, -1, math.nan, math.inf, -math.inf, "60", True]
NO_COUNT: list[object] = [0, -1, 1.5, "5", True, math.nan]
ENDLESS = 1e300  # more milliseconds than a server can count
EITHER: dict[str, list[object]] = {
    "ttl_seconds": [*NO_SECONDS, None, ENDLESS],
    "max_lifetime_seconds": [*NO_SECONDS, ENDLESS],
    "max_messages": NO_COUNT,
    "window": [*NO_COUNT, None],
    "on_conflict": ["last", "", None, True],
    "state_type": [int, list, dict[str, Any], NeedsAnArgument, NeedsOneToo],
    "codec": ["json", JsonCodec],
}
REDIS: dict[str, list[object]] = {
    **EITHER,
    "url": [
        "", "nonsense", "host:6379", "http://host", "redis://", "redis://host:port",
        "redis://host:0", "redis://host:99999", "redis://host/zero", "unix://",
    ],
    "port": [0, -1, 65_536, "6379", 1.5, True],
    "db": [-1, "0", 1.5, True],
    "tls": ["false"],
    "client": ["redis://localhost", redis.Redis()],
    "key_prefix": [None],
    "connect_timeout": [*NO_SECONDS, None],
    "deadline": [*NO_SECONDS, None],
    "fallback": ["redis", "", True, "none"],
    "recovery": ["never", "", None],
}  # fmt: skip
MEMORY: dict[str, list[object]] = {
    **EITHER,
    "max_entries": [*NO_COUNT, None],
    "max_bytes": [*NO_COUNT, None],
}
STORES = {RedisConversationStore: REDIS, MemoryConversationStore: MEMORY}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (kind, name, value)
        for kind, table in STORES.items()
        for name, values in table.items()
        for value in values
    ],
)
def test_a_bad_argument_of_a_store_is_named(
    kind: Callable[..., object], name: str, value: object
) -> None:
    with pytest.raises(ConfigurationError, match=rf"\b{name}=") as error:
        kind(**{name: value})
    assert isinstance(error.value, ValueError)
    shown = f"{name}={value!r}"
    message = str(error.value).removeprefix(shown if shown in str(error.value) else f"{name}=")
    assert len(message) > 10  # it says what to give instead


def test_who_wants_no_end_is_told_how_long_is_possible() -> None:
    with pytest.raises(ConfigurationError, match=r"ttl_seconds=99999999999: .* a century at most"):
        RedisConversationStore(ttl_seconds=99_999_999_999)


BAD_VARIABLES = [
    ("REDIS_URL", "localhost"),
    ("REDIS_URL", "http://localhost"),
    ("REDIS_URL", "redis://localhost:port"),
    ("REDIS_PORT", "many"),
    ("REDIS_PORT", "-1"),
    ("REDIS_PORT", "99999"),
    ("REDIS_DB", "zero"),
    ("REDIS_DB", "-1"),
    ("REDIS_CONVERSATION_TTL", "0"),
    ("REDIS_CONVERSATION_TTL", "-3600"),
    ("REDIS_CONVERSATION_TTL", "nan"),
    ("REDIS_CONVERSATION_TTL", "inf"),
    ("REDIS_CONVERSATION_TTL", "an hour"),
]


@pytest.mark.parametrize(("name", "value"), BAD_VARIABLES)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        create_conversation_store()


def test_no_error_shows_the_password_of_the_url() -> None:
    for url in ("http://:hunter2@host", "redis://:hunter2@host:port", "redis://:hunter2@host/x"):
        with pytest.raises(ConfigurationError) as error:
            RedisConversationStore(url=url)
        assert "hunter2" not in str(error.value)


URL = "redis://:hunter2@host"


@pytest.mark.parametrize("options", [{"client": URL}, {"codec": "hunter2"}, {"url": URL.encode()}])
def test_no_argument_of_the_store_that_may_be_a_password_is_shown(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as error:
        RedisConversationStore(**options)
    assert "hunter2" not in str(error.value)


def test_a_url_in_place_of_a_host_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_HOST", URL)
    with pytest.raises(ConfigurationError, match="REDIS_URL") as error:
        create_conversation_store()
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    create_conversation_store()  # where the host is not looked at


@pytest.mark.parametrize("argument", ["store", "tracker"])
def test_no_argument_of_the_middleware_that_may_be_a_password_is_shown(
    argument: str, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"store": MemoryConversationStore(), argument: URL}
    with pytest.raises(ConfigurationError) as error:
        ConversationMiddleware(chat(), secret_keys=KEYS, **options)
    assert "hunter2" not in str(error.value) + caplog.text


@pytest.mark.parametrize("keys", [None, (), ("",), ("good", ""), ""])
def test_no_secret_key_is_an_error_that_says_where_to_put_one(
    keys: tuple[str, ...] | str | None,
) -> None:
    with pytest.raises(ConfigurationError, match="JV_SESSION_SECRET_KEYS") as error:
        ConversationMiddleware(chat(), store=MemoryConversationStore(), secret_keys=keys)
    assert "secret_keys=" in str(error.value)
    assert "new-key" in str(error.value)


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_an_empty_variable_is_no_secret_key(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("JV_SESSION_SECRET_KEYS", value)
    with pytest.raises(ConfigurationError, match="JV_SESSION_SECRET_KEYS"):
        ConversationMiddleware(chat(), store=MemoryConversationStore())


@pytest.mark.parametrize(
    "name", ["my chat", "", "chat;", "chat=1", "chät", "a\r\nSet-Cookie: b", "a\n"]
)
@pytest.mark.parametrize("resolver", [Cookie, Header])
def test_a_name_that_cannot_be_sent_is_refused(
    resolver: Callable[[str], object], name: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        resolver(name)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("load", "sometimes"),
        ("load", None),
        ("resolvers", ()),
        ("secret_keys", {"of", "no", "order"}),
        ("secret_keys", 5),
        ("resolvers", ["X-Chat"]),
        ("resolvers", [Header]),
        ("resolvers", Header("X-Chat")),
        ("exclude", "/health"),
        ("exclude", None),
        ("exclude", ["/static/*"]),
        ("secure", "false"),
        ("commit_on_error", "no"),
        ("owner", "ada"),
        ("owner", asynchronous),
        ("owner", Asynchronous()),
        ("tracker", MemorySessionTracker),
        ("track", {"snapshot": True}),
    ],
)
def test_a_bad_argument_of_the_middleware_is_named(argument: str, value: object) -> None:
    options: dict[str, Any] = {
        "store": MemoryConversationStore(),
        "secret_keys": KEYS,
        "tracker": MemorySessionTracker(),
        argument: value,
    }
    with pytest.raises(ConfigurationError, match=argument):
        ConversationMiddleware(chat(), **options)


def test_an_added_middleware_is_checked_when_the_app_starts() -> None:
    app = chat()
    app.add_middleware(ConversationMiddleware, store=MemoryConversationStore())
    with pytest.raises(ConfigurationError, match="JV_SESSION_SECRET_KEYS"), TestClient(app):
        pass


@pytest.mark.parametrize("kind", ["uvicorn-h11", "hypercorn", "granian"])
@pytest.mark.parametrize(
    ("name", "value"), [("JV_SESSION_SECRET_KEYS", ""), ("REDIS_CONVERSATION_TTL", "0")]
)
def test_a_wrapped_app_does_not_start_and_its_log_names_the_variable(
    kind: str, name: str, value: str
) -> None:
    server = WebServer(kind, "other_apps:raw_app", {"JV_SESSION_SECRET_KEYS": KEYS[0], name: value})
    try:
        try:
            status = server.wait()
        except subprocess.TimeoutExpired:
            pytest.fail(f"it runs in spite of {name}={value!r}: {server.log}")
        assert status != 0
        assert name in server.log
        assert "ConfigurationError" in server.log
    finally:
        server.close()


@pytest.mark.parametrize("kind", ["uvicorn-h11", "uvicorn-httptools", "hypercorn", "granian"])
def test_an_added_middleware_that_cannot_work_is_in_the_log_from_the_start(kind: str) -> None:
    """The app is built when it is first called: by the lifespan, before any request."""
    server = WebServer(kind, "apps:fastapi_app", {"JV_SESSION_SECRET_KEYS": ""})
    try:
        server.settle()
        assert "JV_SESSION_SECRET_KEYS" in server.log
    finally:
        server.close()
