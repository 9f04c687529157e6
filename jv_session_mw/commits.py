"""One commit at a time for one conversation, driven to its end whoever waits for it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from jv_session_mw.channel import Channel, Deadline
from jv_session_mw.errors import ConversationConflict, ConversationGone, UnreadableConversation
from jv_session_mw.inflight import InFlight
from jv_session_mw.working_copy import Delta, WorkingCopy

logger = logging.getLogger("jv_session_mw")


class Commits:
    """Sends what the working copy collects, and lets it absorb what comes of it.

    A commit runs in a task of its own: when the request is cancelled while it waits, the commit
    still lands, and the working copy still learns of it. `closed` ends all that.
    """

    __slots__ = ("_copy", "_inflight", "_sending", "closed")

    def __init__(self, copy: WorkingCopy[Any], inflight: InFlight) -> None:
        self._copy = copy
        self._inflight = inflight
        self._sending: asyncio.Task[None] | None = None
        self.closed = False

    @property
    def under_way(self) -> bool:
        return self._sending is not None and not self._sending.done()

    async def run(
        self, channel: Callable[[], Channel], deadline: Deadline, judge: Callable[[Delta], None]
    ) -> None:
        """Commit until nothing is left; *channel* is asked for only when there is something."""
        while True:
            await self.settled()
            again = self._copy.is_unsure
            delta = None if self.closed else self._copy.collect()
            if delta is None:
                return
            judge(delta)
            if not delta.changes.empty():
                await self._send(delta, channel(), deadline)
            if delta.refused:
                raise delta.refused[0]
            if not again:
                return

    async def settled(self) -> None:
        """Return when no commit is under way."""
        while self._sending is not None and not self._sending.done():
            await asyncio.wait({self._sending})

    async def _send(self, delta: Delta, channel: Channel, deadline: Deadline) -> None:
        self._copy.sending(delta)
        self._sending = self._inflight.spawn(self._store(delta, channel, deadline))
        await asyncio.shield(self._sending)

    async def _store(self, delta: Delta, channel: Channel, deadline: Deadline) -> None:
        try:
            outcome = await channel.commit(delta.changes, deadline)
        except UnreadableConversation:
            self._copy.forget(delta)  # refused before the first write
            raise
        self._copy.absorb(delta, outcome)
        if outcome.status == "gone":
            self.closed = True
            logger.warning("a turn was dropped: its conversation was deleted or expired meanwhile")
            raise ConversationGone
        if outcome.status == "conflict":
            raise ConversationConflict(outcome.conflicts)


def strictly(delta: Delta) -> None:
    """Refuse the whole delta when a value of it is refused."""
    if delta.refused:
        raise delta.refused[0]


def leniently(delta: Delta) -> None:
    """Let what can be stored be stored."""
