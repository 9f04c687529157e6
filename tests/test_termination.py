"""SIGTERM is heard, and whoever handled it before still does."""

import asyncio
import os
import signal
import threading
from collections.abc import Generator
from types import FrameType

import pytest

from jv_session_mw.inflight import InFlight
from jv_session_mw.termination import hear_of_termination


class Hearer:
    def __init__(self) -> None:
        self.heard = 0

    def terminating(self) -> None:
        self.heard += 1


@pytest.fixture
def handled() -> Generator[list[int]]:
    """The signals that the server's own handler has seen."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    yield seen
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_servers_own_handler_still_does_its_work(handled: list[int]) -> None:
    hearer = Hearer()
    for _ in range(3):
        hear_of_termination(hearer)
    terminate()
    assert (hearer.heard, handled) == (1, [signal.SIGTERM])


def test_a_handler_that_came_later_is_heard_through_too(handled: list[int]) -> None:
    hearer = Hearer()
    hear_of_termination(hearer)
    signal.signal(signal.SIGTERM, lambda number, _: handled.append(-number))
    hear_of_termination(hearer)
    terminate()
    assert (hearer.heard, handled) == (1, [-signal.SIGTERM])


def test_a_handler_that_came_between_and_calls_the_one_before_it_ends_no_process(
    handled: list[int],
) -> None:
    hearer = Hearer()
    hear_of_termination(hearer)
    before = signal.getsignal(signal.SIGTERM)
    assert callable(before)

    def chained(number: int, frame: FrameType | None) -> None:
        handled.append(-number)
        before(number, frame)

    signal.signal(signal.SIGTERM, chained)
    hear_of_termination(hearer)
    terminate()
    assert hearer.heard
    assert handled == [-signal.SIGTERM, signal.SIGTERM]


def test_what_a_closed_loop_has_left_behind_is_in_nobodys_way(handled: list[int]) -> None:
    inflight = InFlight()

    class Left:
        def begin_draining(self) -> None:
            raise AssertionError

    left = Left()

    async def leave() -> None:
        inflight.begin(left)

    asyncio.run(leave())
    terminate()
    assert inflight.is_draining
    assert handled == [signal.SIGTERM]


def test_who_is_gone_is_forgotten(handled: list[int]) -> None:
    hear_of_termination(Hearer())
    terminate()
    assert handled == [signal.SIGTERM]


def test_another_thread_changes_nothing(handled: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    hearer = Hearer()
    thread = threading.Thread(target=hear_of_termination, args=(hearer,))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("default", [signal.SIG_DFL, signal.SIG_IGN])
def test_where_nobody_handles_it_nothing_is_changed(
    handled: list[int], default: signal.Handlers
) -> None:
    signal.signal(signal.SIGTERM, default)
    hear_of_termination(Hearer())
    assert signal.getsignal(signal.SIGTERM) == default
