"""Time in which nobody could have read a reply is not held against the server."""

import pytest

from jv_session_mw import lateness
from jv_session_mw.lateness import Lateness

TICK = 0.005
ME, ANOTHER = range(2)


class Clock:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lateness, "monotonic", clock)
    return clock


def tick(subject: Lateness, clock: Clock, after: float) -> None:
    """Set a timer, and let it come *after* so many seconds."""
    subject.expect(ME, TICK)
    clock.now += after
    subject.note(ME)


def test_time_passes_while_timers_come_when_they_are_due(clock: Clock) -> None:
    subject = Lateness()
    began = subject.now()
    for _ in range(100):
        tick(subject, clock, TICK + 0.001)
    assert subject.now() - began == pytest.approx(0.6)
    assert subject.within(0.6) == 0


def test_a_standstill_counts_as_the_time_until_the_next_timer(clock: Clock) -> None:
    subject = Lateness()
    began = subject.now()
    tick(subject, clock, 10.0)
    assert subject.now() - began == pytest.approx(TICK)
    assert subject.within(20.0) == pytest.approx(10.0 - TICK)
    assert subject.within(4.0) == pytest.approx(4.0)


def test_a_tenth_of_the_time_of_a_busy_process_counts(clock: Clock) -> None:
    subject = Lateness()
    began = subject.now()
    for _ in range(100):
        tick(subject, clock, 0.02)
    assert subject.now() - began == pytest.approx(0.2)


def test_whoever_asks_before_a_timer_that_is_late_is_told_of_it(clock: Clock) -> None:
    subject = Lateness()
    subject.expect(ME, TICK)
    clock.now += 1.0
    assert subject.within(2.0) == pytest.approx(1.0 - TICK)
    assert subject.within(2.0) == pytest.approx(1.0 - TICK)
    subject.note(ME)
    assert subject.within(2.0) == pytest.approx(1.0 - TICK)


def test_two_that_wait_in_one_loop_do_not_count_one_standstill_twice(clock: Clock) -> None:
    subject = Lateness()
    began = subject.now()
    subject.expect(ME, TICK)
    subject.expect(ANOTHER, TICK)
    clock.now += 1.0
    subject.note(ME)
    subject.expect(ME, TICK)
    subject.note(ANOTHER)
    assert subject.now() - began == pytest.approx(TICK)


def test_who_sets_a_timer_after_a_standstill_does_not_hide_it(clock: Clock) -> None:
    subject = Lateness()
    began = subject.now()
    subject.expect(ME, TICK)
    clock.now += 1.0
    subject.expect(ME, TICK)
    assert subject.within(1.0) == pytest.approx(1.0 - TICK)
    clock.now += TICK
    subject.note(ME)
    assert subject.now() - began == pytest.approx(2 * TICK)


def test_a_standstill_is_found_by_the_timer_that_was_due_first(clock: Clock) -> None:
    subject = Lateness()
    began = subject.now()
    subject.expect(ME, TICK)
    clock.now += TICK / 2
    subject.expect(ANOTHER, TICK)
    subject.note(ANOTHER)  # it has nothing to wait for any more
    clock.now += 1.0
    subject.note(ME)
    assert subject.now() - began == pytest.approx(TICK)


def test_the_clock_knows_of_a_standstill_before_its_timer_has_come(clock: Clock) -> None:
    subject = Lateness()
    subject.expect(ME, TICK)
    began = subject.now()
    clock.now += 8.0
    due = subject.now() + 0.3  # what is asked for now is due as long from now
    subject.note(ME)
    assert subject.now() - began == pytest.approx(TICK)
    assert due - subject.now() == pytest.approx(0.3)


def test_a_loop_in_which_nobody_waits_is_never_late(clock: Clock) -> None:
    subject = Lateness()
    tick(subject, clock, TICK)
    subject.note(ME)
    clock.now += 60.0
    assert subject.within(30.0) == 0
    subject.expect(ME, TICK)
    clock.now += TICK
    subject.note(ME)
    assert subject.within(90.0) == 0
