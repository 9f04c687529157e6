"""Commands of concurrent requests, sent together by tasks that no request can cancel."""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from jv_session_mw.backends.redis.answers import Refused
from jv_session_mw.backends.redis.failures import CLIENT_ERRORS
from jv_session_mw.backends.redis.scripts import SOURCES
from jv_session_mw.backends.redis.timeouts import TICK_SECONDS, Timeouts
from jv_session_mw.backends.redis.waiting import (
    Argument,
    Command,
    Reply,
    Waiting,
    take,
    waiting,
)
from jv_session_mw.backends.redis.wire import PlainWire, WatchedWire, Wire, is_watched
from jv_session_mw.errors import StoreUnavailable
from jv_session_mw.lateness import lateness_of

PIPELINES = 4
DEPTH = 64
MAX_WAITING = 10_000
SECONDS_BETWEEN_REDIALS = 1.0
# Exactly these: a wrong password or a full server is no better the second time.
WORTH_ANOTHER_TRY = frozenset({redis_errors.ConnectionError, redis_errors.InvalidResponse})


class Delivery(NamedTuple):
    """When a command is sent once more, and when a commit counts; times are in seconds.

    When a connection is silent for *doubt_after*, its commands are sent over another one as well,
    and the first answer counts. After *give_up_after* it is closed. A commit counts once *replicas*
    replicas have it.
    """

    doubt_after: float
    give_up_after: float
    replicas: int = 0


class Batcher:
    """Sends what is issued in one event-loop tick as one pipeline.

    A request waits for a future, never for the socket: cancelling it leaves the connection in
    order, and a command whose request was cancelled before it was sent is not sent at all. At most
    `PIPELINES` are under way; meanwhile the next one grows, up to `DEPTH` commands. A pipeline that
    is silent for too long is doubted, and does not count any more: its connection may be dead while
    the server is not.
    """

    def __init__(self, client: Redis, delivery: Delivery) -> None:
        self._client = client
        self._delivery = delivery
        self.loop = asyncio.get_running_loop()
        self._waiting: deque[Waiting] = deque()
        self._under_way: dict[Wire, list[Waiting]] = {}
        self._pipelines: set[asyncio.Task[None]] = set()
        self._doubted: set[asyncio.Task[None]] = set()
        self._idle: list[Wire] = []
        self._redialed = -math.inf
        self._starting: set[asyncio.Task[None]] = set()
        self._lateness = lateness_of(self.loop)
        self._timeouts = Timeouts(self.loop, self._unanswered)
        self._is_closed = False

    def send(self, command: Command, timeout: float, tag: bytes = b"") -> asyncio.Future[Reply]:
        """Queue *command* and return the future of its reply, which fails after *timeout* seconds.

        Any command may be sent twice, when a connection breaks or is silent before its reply: it
        must change nothing the second time. A reply that does not begin with *tag* belongs to
        another command, and its connection is closed. Raises `StoreUnavailable` when too many wait.
        """
        loop, queue = self.loop, self._waiting
        if len(queue) >= MAX_WAITING:
            raise StoreUnavailable("too many store calls are waiting", reason="overload")
        reply: asyncio.Future[Reply] = loop.create_future()
        due = self._lateness.now() + timeout
        queue.append(waiting(command, reply, timeout, due, tag))
        if due < self._timeouts.soonest:
            self._timeouts.expect(due, timeout)
        if len(queue) > len(self._starting) * DEPTH:
            self._open_pipeline()
        return reply

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nothing is under way."""
        return not (self._waiting or self._pipelines)

    async def close(self) -> None:
        """End what is under way: its requests, and later ones, find the store unavailable."""
        self._is_closed = True
        # First what waits: a pipeline that ends opens the next one while anything waits.
        _fail(self._waiting, redis_errors.ConnectionError("the store was closed"))
        self._waiting.clear()
        pipelines = list(self._pipelines)
        for pipeline in pipelines:
            pipeline.cancel()
        if pipelines:
            await asyncio.wait(pipelines)
        idle, self._idle = self._idle, []
        for wire in idle:
            await wire.close()
        self._timeouts.stop()

    def _unanswered(self) -> Iterator[Waiting]:
        """Go through the commands that wait, then those under way: some have their reply by now."""
        return itertools.chain(self._waiting, *self._under_way.values())

    def _open_pipeline(self) -> None:
        """Open one more pipeline if there is room, and if those that start leave some commands."""
        if len(self._waiting) <= len(self._starting) * DEPTH:
            return
        if len(self._pipelines) - len(self._doubted) >= PIPELINES:
            return
        # Not by the loop's factory of tasks: an eager one would send the first command of a tick
        # alone, before the pipeline is known here.
        pipeline = asyncio.Task(self._drive(), loop=self.loop, context=self._waiting[0].context)
        self._pipelines.add(pipeline)
        self._starting.add(pipeline)
        pipeline.add_done_callback(self._close_pipeline)

    def _close_pipeline(self, pipeline: asyncio.Task[None]) -> None:
        self._pipelines.discard(pipeline)
        self._starting.discard(pipeline)
        self._doubted.discard(pipeline)
        if not self.loop.is_closed():
            self._open_pipeline()

    async def _drive(self) -> None:
        pipeline = asyncio.current_task()
        assert pipeline is not None
        self._starting.discard(pipeline)
        batch = take(self._waiting, DEPTH)
        if not batch:
            return
        try:
            wire = self._idle.pop() if self._idle else self._new_wire()
        except (*CLIENT_ERRORS, TypeError, ValueError) as error:  # a foreign connection class
            _fail(batch, error)
            return
        self._under_way[wire] = batch
        wait = self._delivery.doubt_after
        doubt_at = self._lateness.now() + wait
        doubt = self.loop.call_later(wait, self._doubt, wire, pipeline, doubt_at)
        in_order = False
        try:
            await self._exchange(wire, batch)
            in_order = True
        except Exception as error:  # noqa: BLE001 - also whatever a credential provider raises
            _fail(self._under_way.pop(wire, ()), error)
        finally:
            doubt.cancel()
            left = self._under_way.pop(wire, ())
            if in_order:
                self._idle.append(wire)
            else:
                _fail(left, redis_errors.ConnectionError("the store was closed"))
                await wire.close()

    def _doubt(self, wire: Wire, pipeline: asyncio.Task[None], at: float) -> None:
        """Let another pipeline send what *wire* has not answered yet; the first answer counts.

        Only now a timer is set that ends *pipeline*. Few are ever doubted, and a second timer for
        each would be a twentieth of what a lone request costs.
        """
        if pipeline.done():
            return
        left = at - self._lateness.now()
        if left > TICK_SECONDS:  # this process was late itself: the replies may have come
            self.loop.call_later(left, self._doubt, wire, pipeline, at)
            return
        self._doubted.add(pipeline)
        doubt_after, give_up_after, _ = self._delivery
        self.loop.call_later(give_up_after - doubt_after, pipeline.cancel)
        unanswered = [one for one in self._under_way.pop(wire, ()) if not one.reply.done()]
        self._waiting.extendleft(reversed(unanswered))
        self._open_pipeline()

    def _new_wire(self) -> Wire:
        if self._is_closed:  # a scan, for one, asks in several steps and may go on after that
            raise redis_errors.ConnectionError("the store was closed")
        kind = WatchedWire if is_watched() else PlainWire
        return kind(self._client, self._delivery.replicas)

    async def _exchange(self, wire: Wire, batch: Sequence[Waiting]) -> None:
        began = monotonic()
        try:
            refused = await wire.exchange(batch)
        except redis_errors.RedisError as error:
            if type(error) not in WORTH_ANOTHER_TRY and not self._was_late(error, began):
                raise
            # The connection had died unnoticed, is out of step, or could not be made because this
            # process stood still. Commands that were answered before that are not sent again.
            await wire.close()
            refused = await wire.exchange([one for one in batch if not one.reply.done()])
        if refused:
            await self._mend(wire, refused)

    def _was_late(self, error: redis_errors.RedisError, began: float) -> bool:
        """Say whether *error* is a time-out for most of which this process was busy."""
        taken = monotonic() - began
        is_timeout = isinstance(error, redis_errors.TimeoutError)
        return is_timeout and self._lateness.within(taken) > taken / 2

    async def _mend(self, wire: Wire, refused: Refused) -> None:
        """Mend the reason why commands were refused, and send them again: none of them was done."""
        again = [one for one, _ in refused]
        if any(isinstance(error, redis_errors.NoScriptError) for _, error in refused):
            loads = [self._unattended("SCRIPT", "LOAD", source) for source in SOURCES]
            again = [*loads, *again]
        else:
            now = self.loop.time()
            if now - self._redialed < SECONDS_BETWEEN_REDIALS:
                _refuse(refused)
                return
            # The primary was demoted: a new connection to the same address may lead to the new one.
            self._redialed = now
            idle, self._idle = self._idle, []
            for other in [wire, *idle]:
                await other.close()
        _refuse(await wire.exchange(again))

    def _unattended(self, *command: Argument) -> Waiting:
        """Make a command whose reply nobody waits for."""
        reply: asyncio.Future[Reply] = self.loop.create_future()
        reply.cancel()
        return waiting(command, reply, 0, 0, b"")


def _fail(batch: Iterable[Waiting], error: Exception) -> None:
    for one in batch:
        one.fail(error)


def _refuse(refused: Refused) -> None:
    for one, error in refused:
        one.fail(error)
