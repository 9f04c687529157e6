"""The commits of one conversation: one at a time, and sent again while the outcome is unknown."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import (
    ConversationConflict,
    ConversationGone,
    TurnLost,
    UnreadableConversation,
)
from jv_session_mw.follower import Follower, committed
from jv_session_mw.working_copy import Delta, WorkingCopy

logger = logging.getLogger("jv_session_mw")


class HasChannel(Protocol):
    """What has a channel to commit to; asking for it gives a new conversation its id."""

    @property
    def channel(self) -> Channel: ...


class Commits(Struct, eq=False):
    """Sends what the working copy collects, and hands it the outcome.

    A commit that is cancelled while it waits leaves a delta of unknown outcome. The next commit
    sends it again under the same commit id, and a backend applies it once. Once `closed`, nothing
    is committed any more; `gone` says that somebody else has deleted the conversation, or that it
    has expired. A *follower* is told once of each commit that was stored. `fence` is that of the
    turn under way, or of one that was lost; 0 for none. `fenced` says that it was refused.
    """

    _copy: WorkingCopy[Any]
    closed: bool = False
    gone: bool = False
    follower: Follower | None = None
    fence: int = 0
    fenced: bool = False
    _lock: asyncio.Lock | None = None  # most conversations are only read

    @property
    def are_under_way(self) -> bool:
        return self._lock is not None and self._lock.locked()

    @property
    def lock(self) -> asyncio.Lock:
        """Held by whoever commits, or changes what commits rest on."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    async def run(self, to: HasChannel, deadline: Deadline, judge: Callable[[Delta], None]) -> None:
        """Commit what has changed; *judge* raises for a delta that must not be stored.

        After a delta of unknown outcome, what has changed since is committed too. *to* is asked for
        its channel only if there is anything to commit.
        """
        copy, lock = self._copy, self.lock
        await lock.acquire()
        try:
            while True:
                again = copy.is_unsure
                delta = None if self.closed else copy.collect()
                if delta is None:
                    return
                judge(delta)
                if not delta.changes.empty():
                    await self._store(delta, to.channel, deadline)
                if delta.refused:
                    raise delta.refused[0]
                if not again:
                    return
        finally:
            lock.release()

    def reopen(self) -> None:
        """Go on with another conversation in place of the one that has ended."""
        self.closed = self.gone = self.fenced = False
        self.fence = 0

    async def settled(self) -> None:
        """Return when no commit is under way."""
        if self._lock is not None:
            async with self._lock:
                return

    async def _store(self, delta: Delta, channel: Channel, deadline: Deadline) -> None:
        copy = self._copy
        if self.fence:
            delta.changes.fence = self.fence
        copy.sending(delta)
        try:
            outcome = await channel.commit(delta.changes, deadline)
        except UnreadableConversation:
            copy.forget(delta)  # refused before the first write
            raise
        before = copy.head.total
        copy.absorb(delta, outcome)
        if outcome.status == "committed":
            if self.follower is not None:
                messages = [] if delta.log is None else delta.log.values
                told = committed(delta.changes, before, copy.snapshot, messages)
                self.follower.committed(channel.id, channel.owner, told)
            return
        if outcome.status == "gone":
            self.closed = self.gone = True
            logger.warning("a turn was dropped: its conversation was deleted or expired meanwhile")
            raise ConversationGone
        if outcome.status == "fenced":
            self.fenced = True
            raise TurnLost
        raise ConversationConflict(outcome.conflicts)


def strictly(delta: Delta) -> None:
    """Refuse the whole delta when one of its values is refused."""
    if delta.refused:
        raise delta.refused[0]


def leniently(delta: Delta) -> None:
    """Refuse nothing: what can be stored is stored."""
