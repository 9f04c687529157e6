"""A store that answers, and refuses: to write, or all that a request asks of it."""

import logging
import re
from collections.abc import AsyncGenerator

import pytest

from jv_session_mw.backends.breaker import CONSECUTIVE_FAILURES
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.errors import StoreUnavailable
from jv_session_mw.lease import Claim
from tests.backends.harness import (
    KEY,
    TIMEOUT,
    appends,
    commit,
    eventually,
    guarded,
    load,
    values,
)
from tests.servers import RedisServer


@pytest.fixture
async def guard(
    own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> AsyncGenerator[GuardedBackend]:
    caplog.set_level(logging.INFO, "jv_session_mw")
    guard = guarded(own_valkey.url)
    yield guard
    await guard.close()


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.partition(" (")[0] for line in caplog.messages]


def troubles(guard: GuardedBackend) -> tuple[bool, bool]:
    return guard.is_degraded, guard.last_error is not None


def refusals(server: RedisServer, command: str) -> int:
    """Return how often the server has refused *command*."""
    found = re.search(rf"cmdstat_{command}:.*rejected_calls=(\d+)", server.info("commandstats"))
    return int(found[1]) if found else 0


async def test_a_full_server_is_read_on_and_only_what_is_written_goes_to_memory(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(guard, appends(0, b"stored"))
    own_valkey.ask("CONFIG SET maxmemory 1")
    for _ in range(20):
        with pytest.raises(StoreUnavailable) as refused:
            await commit(guard, appends(1, b"more"))
        assert refused.value.reason == "oom"
        assert values(await load(guard)) == [b"stored"]
    assert troubles(guard) == (True, True)
    own_valkey.ask("CONFIG SET maxmemory 0")
    await commit(guard, appends(1, b"more"))
    assert troubles(guard) == (False, False)
    assert notices(caplog) == [
        "conversation store refuses to write", "conversation store writes again",
    ]  # fmt: skip


async def test_a_user_who_may_only_read_is_one_warning_until_the_first_commit_is_taken(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(guard, appends(0, b"stored"))
    own_valkey.do("ACL", "SETUSER", "default", "-hmget", "-pexpire", "-set")
    for _ in range(2 * CONSECUTIVE_FAILURES):
        for write in (
            commit(guard, appends(1, b"more")),
            guard.touch(KEY, TIMEOUT),
            guard.lease(KEY, Claim("a", 1_000), TIMEOUT),
        ):
            with pytest.raises(StoreUnavailable) as refused:
                await write
            assert refused.value.reason == "permission"
        assert values(await load(guard)) == [b"stored"]
    assert troubles(guard) == (True, True)
    own_valkey.do("ACL", "SETUSER", "default", "+hmget", "+pexpire", "+set")
    await commit(guard, appends(1, b"more"))
    assert troubles(guard) == (False, False)
    assert notices(caplog) == [
        "conversation store refuses to write", "conversation store writes again",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "command", ["evalsha", "exists", "hgetall", "llen", "lrange", "lindex", "pttl"]
)
async def test_a_server_that_answers_a_ping_and_no_request_is_away_until_it_does(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    await commit(guard, appends(0, b"stored"))
    own_valkey.do("ACL", "SETUSER", "default", f"-{command}")
    asked = guard.older(KEY, 9, 1, TIMEOUT) if command == "lindex" else load(guard)
    with pytest.raises(StoreUnavailable) as refused:
        await asked
    assert refused.value.reason == "permission"
    await eventually(lambda: refusals(own_valkey, command) > CONSECUTIVE_FAILURES)
    assert troubles(guard) == (True, True)
    own_valkey.do("ACL", "SETUSER", "default", f"+{command}")
    await eventually(lambda: not guard.is_degraded)
    assert [line.partition(":")[0] for line in notices(caplog)] == [
        "conversation store away", "conversation store back",
    ]  # fmt: skip
