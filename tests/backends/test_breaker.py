"""When to stop asking."""

import pytest

from jv_session_mw.backends.breaker import (
    CONSECUTIVE_FAILURES,
    WINDOW_CALLS,
    WINDOW_SECONDS,
    Breaker,
)
from tests.backends.harness import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def test_a_breaker_begins_closed(breaker: Breaker) -> None:
    assert not breaker.is_open


def test_it_opens_at_the_last_of_enough_failures_in_a_row(breaker: Breaker) -> None:
    for _ in range(CONSECUTIVE_FAILURES - 1):
        breaker.failed()
        assert not breaker.is_open
    breaker.failed()
    assert breaker.is_open


def test_a_success_begins_the_row_anew(breaker: Breaker) -> None:
    for _ in range(CONSECUTIVE_FAILURES - 1):
        breaker.failed()
    for _ in range(WINDOW_CALLS):
        breaker.succeeded()
    for _ in range(CONSECUTIVE_FAILURES - 1):
        breaker.failed()
    assert not breaker.is_open


def test_failures_in_a_row_count_however_far_apart(breaker: Breaker, clock: Clock) -> None:
    for _ in range(CONSECUTIVE_FAILURES):
        clock.now += 10 * WINDOW_SECONDS
        breaker.failed()
    assert breaker.is_open


def test_it_opens_when_half_of_the_calls_of_a_window_fail(breaker: Breaker) -> None:
    for _ in range(WINDOW_CALLS // 2 - 1):
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open
    breaker.succeeded()
    breaker.failed()
    assert breaker.is_open


def test_it_stays_closed_while_less_than_half_fail(breaker: Breaker) -> None:
    for _ in range(50):
        breaker.succeeded()
        breaker.succeeded()
        breaker.failed()
    assert not breaker.is_open


def test_a_window_forgets_what_was_before_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(WINDOW_CALLS // 2 - 1):
        breaker.failed()
        breaker.succeeded()
    clock.now += WINDOW_SECONDS + 1
    for _ in range(WINDOW_CALLS // 2 - 1):
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open


def test_no_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(CONSECUTIVE_FAILURES):
        breaker.failed()
    clock.now += 1_000
    for _ in range(100):
        breaker.succeeded()
    assert breaker.is_open


def test_closing_it_begins_everything_anew(breaker: Breaker) -> None:
    for _ in range(CONSECUTIVE_FAILURES):
        breaker.failed()
    breaker.close()
    assert not breaker.is_open
    for _ in range(CONSECUTIVE_FAILURES - 1):
        breaker.failed()
    assert not breaker.is_open
