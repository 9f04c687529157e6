"""Commits that outlive their request: nobody cancels them, and shutdown waits for them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import anyio

from jv_session_mw.errors import SessionError
from jv_session_mw.termination import hear_of_termination

logger = logging.getLogger("jv_session_mw")

T = TypeVar("T")

# A server may set its handler of signals after its first request; to look each time costs too much.
EXCHANGES_BETWEEN_LISTENINGS = 64


class UnderWay(Protocol):
    """An exchange that may still commit."""

    def begin_draining(self) -> None:
        """Commit what has changed by now, and again and again: the process may be killed soon."""
        ...


class InFlight:
    """The tasks and exchanges under way for one store; `is_draining` from the first SIGTERM on."""

    __slots__ = ("__weakref__", "_begun", "_ended", "_exchanges", "_tasks", "is_draining")

    def __init__(self) -> None:
        self.is_draining = False
        self._begun = 0
        self._tasks: set[asyncio.Task[object]] = set()
        self._exchanges: dict[UnderWay, asyncio.AbstractEventLoop] = {}
        self._ended: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run *work* to its end, whatever becomes of whoever waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def outlive(self, work: Coroutine[object, object, T]) -> T:
        """Wait for *work*, which runs to its end even when the waiting task is cancelled."""
        return await asyncio.shield(self.spawn(work))

    async def see_through(self, work: Coroutine[object, object, T]) -> T:
        """Wait for *work* to its end; whoever is cancelled meanwhile is so after that."""
        task, cancelled = self.spawn(work), None
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait({task})
                except asyncio.CancelledError as error:
                    cancelled = error
        if cancelled is not None:
            raise cancelled
        return task.result()

    def begin(self, exchange: UnderWay) -> None:
        """Note an exchange that may still commit: `drain` waits until its `end`."""
        self._exchanges[exchange] = asyncio.get_running_loop()
        if self._begun % EXCHANGES_BETWEEN_LISTENINGS == 0:
            hear_of_termination(self)
        self._begun += 1

    def end(self, exchange: UnderWay) -> None:
        loop = self._exchanges.pop(exchange)
        if loop in self._ended and loop not in self._exchanges.values():
            self._ended.pop(loop).set_result(None)

    async def drain(self, seconds: float) -> None:
        """Wait until all that is under way in this event loop has ended, *seconds* at most.

        A server that has cancelled its requests may shut down before they notice. So this waits
        for the exchanges as well as for the commits that they start then.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (pending := self._pending(loop)) and (left := until - loop.time()) > 0:
            await asyncio.wait(pending, timeout=left)

    def terminating(self) -> None:
        """Begin to drain: called from a signal handler."""
        self.is_draining = True
        for exchange, loop in list(self._exchanges.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._begin_draining, exchange)

    def _begin_draining(self, exchange: UnderWay) -> None:
        if exchange in self._exchanges:
            exchange.begin_draining()

    def _pending(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Future[Any]]:
        pending: list[asyncio.Future[Any]] = [
            task for task in self._tasks if task.get_loop() is loop
        ]
        if loop in self._exchanges.values():
            pending.append(self._ended.setdefault(loop, loop.create_future()))
        return pending

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, SessionError):
            logger.error("a commit failed unexpectedly", exc_info=error)
