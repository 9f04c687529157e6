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
_before: Handler | None = None


def hear_of_termination(hearer: Hearer) -> None:
    """Let *hearer* know of each SIGTERM, for as long as it lives.

    Some servers wait for open streams until they are killed, and tell the app nothing. The handler
    that the server has installed still does its work; where there is none the process ends by
    default, and nothing is changed. A server may install its own at any time: call this again.
    """
    global _before  # noqa: PLW0603  # a process has one SIGTERM
    _hearers.add(hearer)
    if threading.current_thread() is not threading.main_thread():
        return
    current = signal.getsignal(signal.SIGTERM)
    if current is _handle or not callable(current):
        return
    _before = cast("Handler", current)
    signal.signal(signal.SIGTERM, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    for hearer in list(_hearers):
        hearer.terminating()
    if _before is not None:
        _before(number, frame)
