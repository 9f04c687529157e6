"""Commands of concurrent requests leave together, on tasks that no request can cancel."""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterable, Sequence

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from jv_session_mw.backends.redis.failures import FOREIGN
from jv_session_mw.backends.redis.scripts import SOURCES
from jv_session_mw.backends.redis.wire import (
    Argument,
    Command,
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
STALL_SECONDS = 0.02


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
        self._under_way: dict[Wire, list[Waiting]] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._idle: list[Wire] = []
        self._starting = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._due = math.inf

    def send(self, command: Command, timeout: float) -> asyncio.Future[Reply]:
        """Queue *command* and return the future of its reply, which fails after *timeout* seconds.

        Every command given here may be sent twice, when a connection breaks before its reply:
        each must change nothing the second time.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable("too many store calls are waiting", reason="overload")
        reply: asyncio.Future[Reply] = self.loop.create_future()
        due = self.loop.time() + timeout
        self._waiting.append(waiting(command, reply, timeout, due))
        if due < self._due:
            self._set_alarm(due)
        if self._starting * DEPTH < len(self._waiting) and len(self._lanes) < LANES:
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
        if self._alarm is not None:
            self._alarm.cancel()

    def _set_alarm(self, due: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._due = due
        self._alarm = self.loop.call_at(due, self._give_up, due)

    def _give_up(self, now: float) -> None:
        """End what is due by *now*, and set the alarm for what is due next.

        One alarm is set at a time, because a timer for each command costs as much as sending it.
        """
        late = self.loop.time() - self._due
        if now == self._due and late > STALL_SECONDS:
            # This process itself stood still, for a garbage collection or want of a CPU: the reply
            # may be there, and nobody had the time to read it.
            self._alarm = self.loop.call_later(STALL_SECONDS, self._give_up, now + late)
            return
        due = math.inf
        for one in itertools.chain(self._waiting, *self._under_way.values()):
            if one.reply.done():
                continue
            if one.due <= now:
                message = f"no reply within {one.timeout:.3f} s"
                one.reply.set_exception(StoreUnavailable(message, reason="timeout"))
            else:
                due = min(due, one.due)
        self._alarm, self._due = None, math.inf
        if due < math.inf:
            self._set_alarm(due)

    def _open_lane(self) -> None:
        self._starting += 1
        lane = self.loop.create_task(self._drive(), context=self._waiting[0].context)
        self._lanes.add(lane)
        lane.add_done_callback(self._close_lane)

    def _close_lane(self, lane: asyncio.Task[None]) -> None:
        self._lanes.discard(lane)
        if len(self._waiting) > self._starting * DEPTH and not self.loop.is_closed():
            self._open_lane()

    async def _drive(self) -> None:
        batch = self._take()
        if not batch:
            return
        wire = self._idle.pop() if self._idle else self._new_wire()
        self._under_way[wire] = batch
        in_order = False
        try:
            async with asyncio.timeout(self._patience):
                await self._exchange(wire, batch)
            in_order = True
        except FOREIGN as error:
            _fail(batch, error)
        finally:
            del self._under_way[wire]
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
        return waiting(command, reply, 0, 0)


def _fail(batch: Iterable[Waiting], error: Exception) -> None:
    for one in batch:
        one.fail(error)
