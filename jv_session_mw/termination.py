"""SIGTERM, heard beside whoever handles it."""

import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Protocol, cast

Handler = Callable[[int, FrameType | None], object]


class Hearer(Protocol):
    """Who wants to know that the process is asked to end."""

    def terminating(self) -> None:
        """Take note, at once, wherever the main thread is just now."""
        ...


_hearers: weakref.WeakSet[Hearer] = weakref.WeakSet()


class Relay:
    """Tells the hearers, then whoever handled the signal when this was installed.

    Each knows the one before it, since a handler that came between two may call the older one.
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
    that the server has installed still does its work; where there is none the process ends by
    default, and nothing is changed. A server may install its own at any time: call this again.
    """
    _hearers.add(hearer)
    if threading.current_thread() is not threading.main_thread():
        return
    current = signal.getsignal(signal.SIGTERM)
    if isinstance(current, Relay) or not callable(current):
        return
    signal.signal(signal.SIGTERM, Relay(cast("Handler", current)))
