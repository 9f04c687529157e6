"""An outage seen from one process: one warning, no waiting, one notice of its end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from jv_session_mw.backends.breaker import CONSECUTIVE_FAILURES
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.errors import StoreUnavailable, UnreadableConversation
from tests.backends.harness import (
    HASH,
    KEY,
    TIMEOUT,
    Bytes,
    appends,
    commit,
    eventually,
    guarded,
    load,
    sets,
    values,
)
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("_log")


@pytest.fixture
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jv_session_mw")


@pytest.fixture
async def guard(own_valkey: RedisServer) -> AsyncGenerator[GuardedBackend]:
    guard = guarded(own_valkey.url)
    yield guard
    await guard.close()


async def fail(guard: GuardedBackend, times: int = 1) -> list[str]:
    """Load in vain, and return the reasons."""
    reasons: list[str] = []
    for _ in range(times):
        with pytest.raises(StoreUnavailable) as refused:
            await load(guard)
        reasons.append(refused.value.reason)
    return reasons


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == "jv_session_mw"]


async def test_while_all_is_well_every_call_passes_and_nothing_is_said(
    guard: GuardedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    await guard.open(TIMEOUT)
    await guard.ping(TIMEOUT)
    assert (await commit(guard, appends(0, b"hi"))).version == 1
    assert values(await load(guard)) == [b"hi"]
    assert list(await guard.older(KEY, 9, 9, TIMEOUT)) == [(1, b"hi")]
    assert await guard.touch(KEY, TIMEOUT) > 0
    assert await guard.has(KEY, TIMEOUT)
    assert await guard.keys(TIMEOUT) == [KEY]
    assert await guard.delete(KEY, TIMEOUT)
    assert (guard.is_degraded, guard.last_error, notices(caplog)) == (False, None, [])


async def test_an_outage_is_one_warning_and_its_end_one_notice(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    for outage in (1, 2):
        await load(guard)
        own_valkey.kill()
        await fail(guard, 3 * CONSECUTIVE_FAILURES)
        assert guard.is_degraded
        own_valkey.start()
        await eventually(lambda: not guard.is_degraded)
        assert notices(caplog) == ["WARNING", "INFO"] * outage


async def test_the_warning_gives_the_reason_and_the_consequence(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own_valkey.kill()
    await fail(guard)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "connection" in warning
    assert "memory serves" in warning
    assert guard.last_error
    assert guard.last_error in warning


async def test_after_failures_in_a_row_nobody_waits(
    guard: GuardedBackend, own_valkey: RedisServer
) -> None:
    own_valkey.kill()
    reasons = await fail(guard, CONSECUTIVE_FAILURES + 3)
    opened = reasons.index("breaker_open")
    assert 0 < opened <= CONSECUTIVE_FAILURES  # the probe fails too, and may come between
    assert set(reasons[:opened]) == {"connection"}
    assert set(reasons[opened:]) == {"breaker_open"}


async def test_every_call_is_refused_while_the_breaker_is_open(
    guard: GuardedBackend, own_valkey: RedisServer
) -> None:
    own_valkey.kill()
    await fail(guard, CONSECUTIVE_FAILURES)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: guard.load(KEY, 5, TIMEOUT),
        lambda: guard.older(KEY, 5, 5, TIMEOUT),
        lambda: guard.commit(KEY, sets(a=b"1"), TIMEOUT),
        lambda: guard.touch(KEY, TIMEOUT),
        lambda: guard.delete(KEY, TIMEOUT),
        lambda: guard.has(KEY, TIMEOUT),
        lambda: guard.keys(TIMEOUT),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as refused:
            await call()
        assert refused.value.reason == "breaker_open"
        assert refused.value.retry_after > 0


async def test_the_probe_ends_the_outage_without_any_request(
    guard: GuardedBackend, own_valkey: RedisServer
) -> None:
    own_valkey.kill()
    await fail(guard, CONSECUTIVE_FAILURES)
    own_valkey.start()
    await eventually(lambda: not guard.is_degraded)
    assert (await commit(guard, sets(a=b"1"))).status == "committed"


async def test_a_single_failure_starts_the_probe_too(
    guard: GuardedBackend, own_valkey: RedisServer
) -> None:
    own_valkey.kill()
    await fail(guard)
    own_valkey.start()
    await eventually(lambda: not guard.is_degraded)


async def test_a_silent_server_is_an_outage_as_well(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await load(guard)
    own_valkey.freeze()
    for _ in range(CONSECUTIVE_FAILURES):
        with pytest.raises(StoreUnavailable):
            await guard.load(KEY, 5, 0.02)
    assert await fail(guard) == ["breaker_open"]
    own_valkey.thaw()
    await eventually(lambda: not guard.is_degraded)
    assert notices(caplog) == ["WARNING", "INFO"]


async def test_a_request_without_time_says_nothing_about_the_store(
    guard: GuardedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2 * CONSECUTIVE_FAILURES):
        with pytest.raises(StoreUnavailable):
            await guard.load(KEY, 5, 0.0)
    assert not guard.is_degraded
    assert (await load(guard)).version == 0
    assert notices(caplog) == []


async def test_what_cannot_be_read_is_no_outage(
    guard: GuardedBackend, own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    stored = Bytes(own_valkey)
    stored.do("SET", HASH, "foreign")
    stored.close()
    for _ in range(3 * CONSECUTIVE_FAILURES):
        with pytest.raises(UnreadableConversation):
            await load(guard)
    assert (await load(guard, key="other")).version == 0
    assert (guard.is_degraded, notices(caplog)) == (False, [])


async def test_a_ping_is_asked_even_while_the_breaker_is_open(
    guard: GuardedBackend, own_valkey: RedisServer
) -> None:
    own_valkey.kill()
    await fail(guard, CONSECUTIVE_FAILURES)
    with pytest.raises(StoreUnavailable) as refused:
        await guard.ping(TIMEOUT)
    assert refused.value.reason == "connection"
    own_valkey.start()
    await guard.ping(TIMEOUT)


def probes() -> int:
    """Return how many run; each may have tasks of its own, as it asks the server."""
    return sum("GuardedBackend._knock" in repr(task) for task in asyncio.all_tasks())


async def test_closing_ends_the_probe(guard: GuardedBackend, own_valkey: RedisServer) -> None:
    own_valkey.kill()
    before = asyncio.all_tasks()
    await fail(guard, CONSECUTIVE_FAILURES)
    assert probes() == 1
    await guard.close()
    assert asyncio.all_tasks() == before


async def test_many_failures_at_once_start_one_probe(
    guard: GuardedBackend, own_valkey: RedisServer
) -> None:
    own_valkey.kill()
    await asyncio.gather(*(fail(guard) for _ in range(50)))
    assert probes() == 1


def test_an_outage_that_began_in_another_event_loop_ends_in_this_one(
    own_valkey: RedisServer,
) -> None:
    guard = guarded(own_valkey.url)
    own_valkey.kill()
    asyncio.run(fail(guard, CONSECUTIVE_FAILURES + 1))
    own_valkey.start()

    async def recover() -> None:
        await fail(guard)
        await eventually(lambda: not guard.is_degraded)
        await load(guard)
        await guard.close()

    asyncio.run(recover())


def test_an_outage_whose_event_loop_ended_is_over_with_what_the_next_one_is_answered(
    own_valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    guard = guarded(own_valkey.url)
    own_valkey.kill()
    asyncio.run(fail(guard))
    own_valkey.start()

    async def go_on() -> None:
        await load(guard)
        await eventually(lambda: not guard.is_degraded)
        await guard.close()

    with caplog.at_level("INFO"):
        asyncio.run(go_on())
    assert "conversation store back" in caplog.text


async def test_a_server_without_room_for_one_more_client_is_away(own_valkey: RedisServer) -> None:
    own_valkey.ask("CONFIG SET maxclients 1")
    first, second = guarded(own_valkey.url), guarded(own_valkey.url)
    await first.ping(TIMEOUT)
    with pytest.raises(StoreUnavailable) as refused:
        await second.ping(TIMEOUT)
    assert refused.value.reason in ("clients", "connection")
    await first.close()
    await second.close()
