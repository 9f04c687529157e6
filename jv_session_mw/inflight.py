"""Commits that outlive their request: nobody cancels them, and shutdown waits for them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from jv_session_mw.errors import SessionError

logger = logging.getLogger("jv_session_mw")

T = TypeVar("T")


class InFlight:
    """The tasks under way for one store."""

    __slots__ = ("_ended", "_exchanges", "_tasks")

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._exchanges: dict[asyncio.AbstractEventLoop, int] = {}
        self._ended: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run *work* to its end, whatever becomes of whoever waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def outlive(self, work: Coroutine[object, object, T]) -> T:
        """Wait for *work*, which goes on to its end when whoever waits is cancelled."""
        return await asyncio.shield(self.spawn(work))

    def begin(self) -> None:
        """Let `drain` wait for one more `end`, of an exchange whose last commit may still come."""
        loop = asyncio.get_running_loop()
        self._exchanges[loop] = self._exchanges.get(loop, 0) + 1

    def end(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._exchanges[loop] = self._exchanges[loop] - 1
        if not left:
            del self._exchanges[loop]
            if loop in self._ended:
                self._ended.pop(loop).set_result(None)

    async def drain(self, seconds: float) -> None:
        """Wait until all that is under way in this event loop has ended, *seconds* at most.

        A server that has cancelled its requests shuts down before they have noticed: they are
        waited for as much as the commits that they start then.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (pending := self._pending(loop)) and (left := until - loop.time()) > 0:
            await asyncio.wait(pending, timeout=left)

    def _pending(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Future[Any]]:
        pending: list[asyncio.Future[Any]] = [
            task for task in self._tasks if task.get_loop() is loop
        ]
        if loop in self._exchanges:
            pending.append(self._ended.setdefault(loop, loop.create_future()))
        return pending

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, SessionError):
            logger.error("a commit failed unexpectedly", exc_info=error)
