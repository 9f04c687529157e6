"""Foreign exceptions -> ours: none is missing from the table."""

import asyncio
import inspect
import ssl

import pytest
from redis import exceptions as redis_errors

from jv_session_mw import RedisConversationStore
from jv_session_mw.backends.redis.failures import CLIENT_ERRORS, translate
from jv_session_mw.errors import StoreUnavailable, UnreadableConversation
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.wire import Wire
from tests.servers import RedisServer

EVERY_KIND = sorted(
    (
        kind
        for _, kind in inspect.getmembers(redis_errors, inspect.isclass)
        if issubclass(kind, redis_errors.RedisError)
    ),
    key=lambda kind: kind.__name__,
)


def make(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    error.args = ("what went wrong",)
    return error


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_error_of_the_client_library_is_unavailable(kind: type[Exception]) -> None:
    assert issubclass(kind, CLIENT_ERRORS)
    error = translate(make(kind))
    assert isinstance(error, StoreUnavailable)
    assert error.reason
    assert error.retry_after > 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (redis_errors.BusyLoadingError("LOADING"), "loading"),
        (redis_errors.AuthenticationError("WRONGPASS"), "auth"),
        (redis_errors.NoPermissionError("NOPERM"), "permission"),
        (redis_errors.TimeoutError("Timeout"), "timeout"),
        (TimeoutError(), "timeout"),
        (redis_errors.MaxConnectionsError("Too many"), "pool"),
        (redis_errors.ConnectionError("Connection lost"), "connection"),
        (ConnectionResetError(), "connection"),
        (ConnectionRefusedError(), "connection"),
        (BrokenPipeError(), "connection"),
        (OSError(113, "No route to host"), "connection"),
        (ssl.SSLError("handshake"), "connection"),
        (redis_errors.ReadOnlyError("READONLY"), "readonly"),
        (redis_errors.OutOfMemoryError("OOM"), "oom"),
        (redis_errors.ResponseError("ERR something else"), "error"),
        (redis_errors.ResponseError("MISCONF Redis is configured to save"), "misconf"),
        (redis_errors.ResponseError("NOREPLICAS Not enough good replicas"), "noreplicas"),
        (redis_errors.ResponseError("Error running script: 168: -OOM command not"), "oom"),
        (redis_errors.ResponseError("Error running script: 168: -READONLY You"), "readonly"),
        (
            redis_errors.ResponseError("unknown command 'EVALSHA', with args beginning"),
            "permission",
        ),
        (redis_errors.ResponseError("Unknown Redis command called from script"), "permission"),
        (redis_errors.ResponseError("Unknown command called from script"), "permission"),
        (redis_errors.ConnectionError("max number of clients reached"), "clients"),
        (redis_errors.ConnectionError("No master found for 'main'"), "sentinel"),
        (redis_errors.MasterDownError("Link with MASTER is down"), "loading"),
        (redis_errors.ResponseError("Error running script: 8: -MASTERDOWN Link"), "loading"),
        (redis_errors.ClusterDownError("CLUSTERDOWN Hash slot not served"), "cluster"),
        (redis_errors.MovedError("1 127.0.0.1:7000"), "cluster"),
        (redis_errors.TryAgainError("TRYAGAIN"), "cluster"),
        (redis_errors.InvalidResponse("Protocol Error"), "protocol"),
        (redis_errors.RedisError("anything"), "error"),
    ],
)
def test_the_reason_says_what_happened(error: Exception, reason: str) -> None:
    translated = translate(error)
    assert isinstance(translated, StoreUnavailable)
    assert translated.reason == reason
    assert type(error).__name__ in str(translated)


@pytest.mark.parametrize(
    "text",
    [
        "UNREADABLE the keys are of type string and none",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR Error running script (call to f_1): @user_script:4: WRONGTYPE Operation",
        "WRONGTYPE Operation against a key script: abc, on @user_script:4.",
    ],
)
def test_a_reply_about_what_is_stored_is_unreadable(text: str) -> None:
    assert isinstance(translate(redis_errors.ResponseError(text)), UnreadableConversation)


def test_a_failure_of_sentinels_does_not_show_their_clients() -> None:
    shown = "No master found for 'main' : <redis.asyncio.client.Redis(...)> - ConnectionError()"
    translated = translate(redis_errors.ConnectionError(shown))
    assert str(translated) == (
        "ConnectionError: No master found for 'main'; and not every sentinel answers"
    )


@pytest.mark.parametrize("there", [True, False])
async def test_a_reply_that_comes_twice_is_taken_for_no_other(
    valkey: RedisServer, there: bool
) -> None:
    async with (
        Wire(valkey.port) as wire,
        RedisConversationStore(url=wire.url, fallback=None, deadline=PATIENT_SECONDS) as store,
    ):
        await store.set("there", {"a": 1})
        ids = ("missing", "there") if there else ("there", "missing")
        wire.double_next_reply()
        _, found = await asyncio.gather(store.has(ids[0]), store.has(ids[1]))
        assert found == there
        wire.double_next_reply()
        _, known = await asyncio.gather(store.get(ids[0]), store.has(ids[1]))
        assert known == there
