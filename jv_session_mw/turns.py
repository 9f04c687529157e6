"""Turns: one at a time in each conversation, over all processes."""

import asyncio
import logging
from asyncio import AbstractEventLoop, Lock, Task, create_task, get_running_loop
from time import monotonic
from weakref import WeakValueDictionary, finalize

from jv_session_mw.changes import new_commit_id
from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationBusy, StoreError
from jv_session_mw.inflight import InFlight
from jv_session_mw.lease import Claim

logger = logging.getLogger("jv_session_mw")

LEASE_SECONDS = 30.0
RENEWALS = 3  # in the time of one lease, so that two may fail


class Turn:
    """One request's turn: a place at the head of this process's queue, and a lease in the store.

    The lease is renewed for as long as the turn goes on. A process that dies or stands still for
    longer loses it to the next turn; `fence` is how the store knows then whose commits are late.
    It is held by so many `blocks`, and by the request itself while it `is_requests`.
    """

    def __init__(self, channel: Channel, queue: Lock, seconds: float) -> None:
        self.fence = 0
        self.blocks = 0
        self.is_requests = False
        self._channel = channel
        self._queue = queue
        self._seconds = seconds
        self._holder = new_commit_id()
        self._renewals: Task[None] | None = None
        self._unless_left: finalize[..., object] | None = None

    @property
    def is_held(self) -> bool:
        """Whether anybody has taken it and not let go of it yet."""
        return self.is_requests or self.blocks > 0

    def is_of(self, channel: Channel) -> bool:
        """Say whether *channel* leads to the conversation that this turn is one of."""
        return self._channel.key == channel.key

    async def claim(self, until: float) -> None:
        """Get the lease by *until*, on the monotonic clock, else raise `ConversationBusy`."""
        lease = await self._channel.lock(self._claim(LEASE_SECONDS), until, self._seconds)
        self.fence = lease.fence
        if lease.fence:
            self._renewals = create_task(self._renew())

    def end_with(self, holder: object, inflight: InFlight) -> None:
        """End it once nobody has *holder* any more: a task may have taken it after its request."""
        loop = get_running_loop()

        def end() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(lambda: inflight.spawn(self.end()))

        self._unless_left = finalize(holder, end)
        self._unless_left.atexit = False

    async def end(self) -> bool:
        """Let the next turn begin, and say whether this one was the last to begin until now."""
        if self._unless_left is not None:
            self._unless_left.detach()
        if self._renewals is not None:
            self._renewals.cancel()
        try:
            return await self._channel.unlock(self._claim(0), Deadline(self._seconds))
        except StoreError:  # the lease ends by itself
            return True
        finally:
            self._queue.release()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / RENEWALS)
            try:
                await self._channel.lock(self._claim(LEASE_SECONDS), monotonic(), self._seconds)
            except ConversationBusy:  # it was lost: the next commit will be told
                return
            except StoreError as error:
                logger.debug("the lease of a turn was not renewed: %s", error)

    def _claim(self, seconds: float) -> Claim:
        return Claim(self._holder, round(seconds * 1000), self.fence)


class Turns:
    """The turns of one store's conversations; each store call has *seconds*."""

    def __init__(self, inflight: InFlight, seconds: float) -> None:
        self._inflight = inflight
        self._seconds = seconds
        self._queues = WeakValueDictionary[tuple[AbstractEventLoop, str], Lock]()

    async def take(self, channel: Channel, wait: float) -> Turn:
        """Wait for the turn in *channel*'s conversation, *wait* seconds at most.

        The requests of this process come in their order; between processes, who asks first after
        the lease was given back. Raises `ConversationBusy`.
        """
        until = monotonic() + wait
        queue = self._queues.setdefault((get_running_loop(), channel.key), Lock())
        await reach_head(queue, wait)
        turn = Turn(channel, queue, self._seconds)
        try:
            await turn.claim(until)
        except ConversationBusy:
            queue.release()
            raise
        except BaseException:
            self._inflight.spawn(turn.end())  # it may have been granted, with the answer lost
            raise
        return turn


async def reach_head(queue: Lock, wait: float) -> None:
    """Lock *queue*, after *wait* seconds at most; raises `ConversationBusy`."""
    try:
        async with asyncio.timeout(max(0, wait)):
            await queue.acquire()
    except TimeoutError as error:
        raise ConversationBusy from error
