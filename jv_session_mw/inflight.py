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

    __slots__ = ("_exchanges", "_tasks")

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._exchanges: set[asyncio.Future[None]] = set()

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run *work* to its end, whatever becomes of whoever waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def outlive(self, work: Coroutine[object, object, T]) -> T:
        """Wait for *work*, which goes on to its end when whoever waits is cancelled."""
        return await asyncio.shield(self.spawn(work))

    def begin(self) -> asyncio.Future[None]:
        """Make `drain` wait until `end` is called with what this returns.

        For an exchange, whose last commit may still be to come.
        """
        exchange: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._exchanges.add(exchange)
        return exchange

    def end(self, exchange: asyncio.Future[None]) -> None:
        self._exchanges.discard(exchange)
        exchange.set_result(None)

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
        under_way: list[asyncio.Future[Any]] = [*self._tasks, *self._exchanges]
        return [work for work in under_way if work.get_loop() is loop]

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, SessionError):
            logger.error("a commit failed unexpectedly", exc_info=error)
