"""Commits that outlive their request: nobody cancels them, and shutdown waits for them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TypeVar

from jv_session_mw.errors import SessionError

logger = logging.getLogger("jv_session_mw")

T = TypeVar("T")


class InFlight:
    """The tasks under way for one store."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run *work* to its end, whatever becomes of whoever waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def drain(self, seconds: float) -> None:
        """Wait until all that is under way in this event loop has ended, *seconds* at most."""
        loop = asyncio.get_running_loop()
        tasks = {task for task in self._tasks if task.get_loop() is loop}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, SessionError):
            logger.error("a commit failed unexpectedly", exc_info=error)
