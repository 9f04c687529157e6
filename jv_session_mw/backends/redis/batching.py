"""Commands of concurrent requests leave together, on tasks that no request can cancel."""

import asyncio
import contextvars
from collections import deque
from typing import NamedTuple, TypeAlias

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from jv_session_mw.backends.redis.failures import FOREIGN, translate
from jv_session_mw.backends.redis.scripts import SOURCES
from jv_session_mw.errors import StoreError, StoreUnavailable

LANES = 4
DEPTH = 64
MAX_WAITING = 10_000

Reply: TypeAlias = "bytes | int | list[Reply] | None"
Answer: TypeAlias = "Reply | Exception"
Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]
NoScript = redis_errors.NoScriptError


class Waiting(NamedTuple):
    command: Command
    reply: asyncio.Future[Reply]
    context: contextvars.Context


class Batcher:
    """Sends what is issued in one event-loop tick as one pipeline.

    A request waits on a future, never on the socket: cancelling it leaves the connection in
    order, and a command whose request has gone before it was sent is not sent at all. At most
    `LANES` pipelines are under way; meanwhile the next one grows, up to `DEPTH` commands.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Waiting] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._starting = 0

    def send(self, *command: Argument) -> asyncio.Future[Reply]:
        """Queue *command* and return the future of its reply.

        Every command given here may be sent twice, when a connection breaks before its reply:
        each must change nothing the second time.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable("too many store calls are waiting", reason="overload")
        reply: asyncio.Future[Reply] = self._loop.create_future()
        # Encoded here, so that what cannot be encoded is this caller's error and nobody else's.
        name, *rest = command
        encoded = [part.encode() if isinstance(part, str) else part for part in rest]
        self._waiting.append(Waiting((name, *encoded), reply, contextvars.copy_context()))
        self._open_lane()
        return reply

    async def close(self) -> None:
        """End what is under way; its requests see the store as unavailable."""
        # First what waits: a lane that ends opens the next one while anything does.
        _fail(list(self._waiting), redis_errors.ConnectionError("the store was closed"))
        self._waiting.clear()
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        if lanes:
            await asyncio.wait(lanes)

    def _open_lane(self) -> None:
        if len(self._lanes) >= LANES or self._starting * DEPTH >= len(self._waiting):
            return
        self._starting += 1
        # In the context of its first request, so that a Redis span has a parent in its trace.
        lane = self._loop.create_task(self._drive(), context=self._waiting[0].context)
        self._lanes.add(lane)
        lane.add_done_callback(self._close_lane)

    def _close_lane(self, lane: asyncio.Task[None]) -> None:
        self._lanes.discard(lane)
        if self._waiting and not self._loop.is_closed():
            self._open_lane()

    async def _drive(self) -> None:
        batch = self._take()
        if not batch:
            return
        try:
            replies = await self._exchange([waiting.command for waiting in batch])
            for waiting, reply in zip(batch, replies, strict=True):
                _answer(waiting.reply, reply)
        except FOREIGN as error:
            _fail(batch, error)
        finally:
            _fail(batch, redis_errors.ConnectionError("the store was closed"))

    def _take(self) -> list[Waiting]:
        self._starting -= 1
        batch: list[Waiting] = []
        while self._waiting and len(batch) < DEPTH:
            waiting = self._waiting.popleft()
            if not waiting.reply.done():
                batch.append(waiting)
        return batch

    async def _exchange(self, commands: list[Command]) -> list[Answer]:
        try:
            replies = await self._pipeline(commands)
        except redis_errors.ConnectionError as error:
            if type(error) is not redis_errors.ConnectionError:
                raise  # a wrong password or a full server is no better the second time
            replies = await self._pipeline(commands)  # the pooled connection had died unnoticed
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScript)]
        if unknown:  # a restarted or flushed server: nothing of these commands was done
            loads: list[Command] = [("SCRIPT", "LOAD", source) for source in SOURCES]
            again = await self._pipeline(loads + [commands[at] for at in unknown])
            for at, reply in zip(unknown, again[len(loads) :], strict=True):
                replies[at] = reply
        return replies

    async def _pipeline(self, commands: list[Command]) -> list[Answer]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
        return await pipeline.execute(raise_on_error=False)


def _answer(waiting: asyncio.Future[Reply], reply: Answer) -> None:
    if waiting.done():
        return
    if isinstance(reply, Exception):
        waiting.set_exception(_ours(reply))
    else:
        waiting.set_result(reply)


def _ours(error: Exception) -> StoreError:
    failure = translate(error)
    failure.__cause__ = error
    return failure


def _fail(batch: list[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.reply.done():
            waiting.reply.set_exception(_ours(error))
