"""Commands of concurrent requests leave together, on tasks that no request can cancel."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from jv_session_mw.backends.redis.failures import FOREIGN
from jv_session_mw.backends.redis.scripts import SOURCES
from jv_session_mw.backends.redis.wire import (
    Argument,
    PlainWire,
    Reply,
    Waiting,
    WatchedWire,
    Wire,
    is_watched,
    waiting,
)
from jv_session_mw.errors import StoreUnavailable

LANES = 4
DEPTH = 64
MAX_WAITING = 10_000


class Batcher:
    """Sends what is issued in one event-loop tick as one pipeline.

    A request waits on a future, never on the socket: cancelling it leaves the connection in
    order, and a command whose request has gone before it was sent is not sent at all. At most
    `LANES` pipelines are under way; meanwhile the next one grows, up to `DEPTH` commands. A
    pipeline that takes longer than *patience* seconds is given up, and its connection with it.
    """

    def __init__(self, client: Redis, patience: float) -> None:
        self._client = client
        self._patience = patience
        self.loop = asyncio.get_running_loop()
        self._waiting: deque[Waiting] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._idle: list[Wire] = []
        self._starting = 0

    def send(self, *command: Argument) -> asyncio.Future[Reply]:
        """Queue *command* and return the future of its reply.

        Every command given here may be sent twice, when a connection breaks before its reply:
        each must change nothing the second time.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable("too many store calls are waiting", reason="overload")
        reply: asyncio.Future[Reply] = self.loop.create_future()
        self._waiting.append(waiting(command, reply))
        self._open_lane()
        return reply

    async def close(self) -> None:
        """End what is under way; its requests see the store as unavailable."""
        # First what waits: a lane that ends opens the next one while anything does.
        _fail(self._waiting, redis_errors.ConnectionError("the store was closed"))
        self._waiting.clear()
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        if lanes:
            await asyncio.wait(lanes)
        for wire in self._idle:
            await wire.close()
        self._idle.clear()

    def _open_lane(self) -> None:
        if len(self._lanes) >= LANES or self._starting * DEPTH >= len(self._waiting):
            return
        self._starting += 1
        lane = self.loop.create_task(self._drive(), context=self._waiting[0].context)
        self._lanes.add(lane)
        lane.add_done_callback(self._close_lane)

    def _close_lane(self, lane: asyncio.Task[None]) -> None:
        self._lanes.discard(lane)
        if self._waiting and not self.loop.is_closed():
            self._open_lane()

    async def _drive(self) -> None:
        batch = self._take()
        if not batch:
            return
        wire = self._idle.pop() if self._idle else self._new_wire()
        in_order = False
        try:
            async with asyncio.timeout(self._patience):
                await self._exchange(wire, batch)
            in_order = True
        except FOREIGN as error:
            _fail(batch, error)
        finally:
            if in_order:
                self._idle.append(wire)
            else:
                _fail(batch, redis_errors.ConnectionError("the store was closed"))
                await wire.close()

    def _take(self) -> list[Waiting]:
        self._starting -= 1
        batch: list[Waiting] = []
        while self._waiting and len(batch) < DEPTH:
            next_one = self._waiting.popleft()
            if not next_one.reply.done():
                batch.append(next_one)
        return batch

    def _new_wire(self) -> Wire:
        return WatchedWire(self._client) if is_watched() else PlainWire(self._client)

    async def _exchange(self, wire: Wire, batch: Sequence[Waiting]) -> None:
        try:
            unknown = await wire.exchange(batch)
        except redis_errors.ConnectionError as error:
            if type(error) is not redis_errors.ConnectionError:
                raise  # a wrong password or a full server is no better the second time
            # The connection had died unnoticed. Who was answered before it did is not asked again.
            unknown = await wire.exchange([one for one in batch if not one.reply.done()])
        if unknown:  # a restarted or flushed server: nothing of these commands was done
            loads = [self._unattended("SCRIPT", "LOAD", source) for source in SOURCES]
            unknown = await wire.exchange([*loads, *unknown])
            _fail(unknown, redis_errors.NoScriptError("the scripts do not stay loaded"))

    def _unattended(self, *command: Argument) -> Waiting:
        """Make a command whose reply nobody waits for."""
        reply: asyncio.Future[Reply] = self.loop.create_future()
        reply.cancel()
        return waiting(command, reply)


def _fail(batch: Iterable[Waiting], error: Exception) -> None:
    for one in batch:
        one.fail(error)
