"""SIGTERM, heard beside whoever handles it."""

import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Protocol, cast

Handler = Callable[[int, FrameType | None], object]


class Hearer(Protocol):
    """Something that wants to know that the process is asked to end."""

    def terminating(self) -> None:
        """Take note. It runs in a signal handler: anything may be half done, so be quick."""
        ...


_hearers: weakref.WeakSet[Hearer] = weakref.WeakSet()


class Relay:
    """Tells the hearers, then calls the handler that it replaced.

    Several may be installed one after another, so each keeps the handler that it replaced itself.
    """

    def __init__(self, before: Handler) -> None:
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        for hearer in list(_hearers):
            hearer.terminating()
        self._before(number, frame)


def hear_of_termination(hearer: Hearer) -> None:
    """Let *hearer* know of each SIGTERM, for as long as it lives.

    Some servers wait for open streams until they are killed, and tell the app nothing. The handler
    that the server has installed is called too. Where there is none, the signal ends the process,
    and this changes nothing. A server may install its handler later: call this again.
    """
    _hearers.add(hearer)
    if threading.current_thread() is not threading.main_thread():
        return
    current = signal.getsignal(signal.SIGTERM)
    if isinstance(current, Relay) or not callable(current):
        return
    signal.signal(signal.SIGTERM, Relay(cast("Handler", current)))
