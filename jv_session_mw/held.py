"""A conversation as the middleware and the store hold it: loaded, committed, discarded."""

import logging
import time
import weakref
from asyncio import Lock
from collections.abc import Coroutine
from time import monotonic
from typing import Any, Generic

from opentelemetry.context import Context
from typing_extensions import TypeVar

from jv_session_mw import ids
from jv_session_mw.changes import MISSING, Snapshot
from jv_session_mw.channel import Channel
from jv_session_mw.commits import Commits, leniently, strictly
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone, ConversationNotLoaded, StoreUnavailable
from jv_session_mw.follower import Follower
from jv_session_mw.messages import Message
from jv_session_mw.reply import Reply
from jv_session_mw.terms import Terms
from jv_session_mw.turns import Turn, reach_head
from jv_session_mw.working_copy import WorkingCopy

S = TypeVar("S", default=dict[str, Any])

logger = logging.getLogger("jv_session_mw")

TOUCH_BELOW = 0.9


class HeldConversation(Generic[S]):
    """The side of a conversation that the gates use; `Conversation` adds what handlers use."""

    __slots__ = (
        "__weakref__", "_channel", "_commits", "_copy", "_id", "_parent", "_replies", "_takers",
        "_terms", "asked_for_id", "handed_out", "held_turn", "is_loaded", "is_new", "is_over",
        "known", "owner",
    )  # fmt: skip

    def __init__(self, id: str | None, owner: str | None, terms: Terms[S], parent: Context) -> None:
        self.owner: str | None = owner
        self.is_new = True
        self.known = id is not None
        self.is_loaded = id is None
        self.is_over = False  # what it was opened for has ended: nobody ends a turn any more
        self.handed_out = False
        self.held_turn: Turn | None = None  # no other request can take one until it ends
        self.asked_for_id = False
        self._id: str | None = id
        self._terms = terms
        self._parent = parent
        self._channel: Channel | None = None
        self._copy = WorkingCopy(terms.codec, terms.cache, terms.kind, weakref.ref(self))
        self._commits = Commits(self._copy)
        self._replies: list[Reply] = []
        self._takers: Lock | None = None

    @property
    def channel(self) -> Channel:
        """Its way to the backend; asking for it gives a new conversation its id."""
        channel = self._channel
        if channel is None:
            if self._id is None:
                self._id = ids.mint()
            channel = self._channel = self._terms.channel(self._id, self.owner, self._parent)
        return channel

    @property
    def version(self) -> int:
        """The number of commits so far; 0 for what is not stored yet."""
        return self._copy.head.version

    @property
    def deleted(self) -> bool:
        """Whether it was deleted, here or elsewhere: nothing is saved any more."""
        return self._commits.closed

    @property
    def gone(self) -> bool:
        """Whether it was deleted, moved or expired while this request was under way."""
        return self._commits.gone

    @property
    def was_looked_at(self) -> bool:
        """Whether state or messages were looked at."""
        return self._copy.was_looked_at

    @property
    def was_used(self) -> bool:
        """Whether the handler's answer may depend on it."""
        return self.handed_out or self.asked_for_id or self.was_looked_at

    async def load_within(self, deadline: Deadline) -> None:
        """Load; a tombstone makes this a new conversation under a new id."""
        snapshot = await self.channel.load(self._terms.window, deadline)
        if self.is_loaded:  # by another task meanwhile, whose changes are kept
            return
        if snapshot.deleted:
            self._id, self._channel, self.known, snapshot = None, None, False, MISSING
        self._begin_from(snapshot)

    def _begin_from(self, snapshot: Snapshot) -> None:
        self._copy.rebase(snapshot)
        self.is_new = not snapshot.version and not snapshot.fallback
        self.is_loaded = True

    async def _load_anew(self) -> None:
        """Load what is stored now; the caller holds the lock.

        Raises `ConversationGone`, and `StoreUnavailable` if only the store would know it.
        """
        snapshot = await self.channel.load(self._terms.window, self._new_deadline())
        if snapshot.fallback and not (snapshot.version or snapshot.deleted):
            raise StoreUnavailable(
                "the store is away, and memory does not have this conversation",
                reason=snapshot.fallback,
            )
        if not snapshot.version:
            raise ConversationGone
        self._copy.rebase(snapshot)
        self.is_loaded = True
        for reply in self._replies:
            reply.go_on_in(self._copy.messages)

    async def take_turn(self, wait: float) -> Turn:
        """Take the turn and load what is stored then, or join the one that is held already.

        Tasks of one request that want it at the same time get the same one.
        """
        until = monotonic() + wait
        takers = self._takers = self._takers or Lock()
        await reach_head(takers, max(wait, self._terms.deadline))  # that long, one ask may take
        try:
            held = self.held_turn
            if held is not None:
                if held.is_of(self.channel) and not self._commits.fenced:
                    return held
                # It was lost, or the conversation has moved since and has left it behind.
                await self._terms.inflight.outlive(self.end_turn())
            turn = self.held_turn = await self._take_new_turn(until - monotonic())
            return turn  # no gate ends it before whoever takes it holds it
        finally:
            takers.release()

    async def _take_new_turn(self, wait: float) -> Turn:
        if self.deleted:
            raise ConversationGone
        if self.is_loaded:
            await self.commit(self._new_deadline())
        turn = await self._terms.turns.take(self.channel, wait)
        self._commits.fence, self._commits.fenced = turn.fence, False
        try:
            await self._go_on_after_others()
        except BaseException:
            await self._terms.inflight.outlive(self._end(turn))
            raise
        turn.end_with(self, self._terms.inflight)
        return turn

    async def _go_on_after_others(self) -> None:
        if self.is_loaded:  # another task of this request may have changed it during the wait
            await self.commit(self._new_deadline())
        if self.version:
            async with self._commits.lock:
                await self._load_anew()
        elif self.known and self.is_loaded:
            await self._look_again()
        elif self.known:
            await self.load_within(self._new_deadline())

    async def _look_again(self) -> None:
        """Load what others have stored since nothing was found; raises `ConversationGone`."""
        snapshot = await self.channel.load(self._terms.window, self._new_deadline())
        if snapshot.deleted:
            raise ConversationGone
        self._begin_from(snapshot)

    async def end_turn(self) -> None:
        """Let the next turn begin, once the commits of this one have ended.

        If it was lost, what is left of it is refused until a reload or another turn.
        """
        turn, self.held_turn = self.held_turn, None
        if turn is not None:
            await self._end(turn)

    async def _end(self, turn: Turn) -> None:
        await self._commits.settled()
        if await turn.end():
            self._commits.fence = 0

    @property
    def may_be_unsaved(self) -> bool:
        """Whether something has changed, or a commit is under way."""
        return self._commits.are_under_way or self._copy.differs

    def is_as_stored(self) -> bool:
        """Return whether there is certainly nothing to commit. Cheap; False when unsure."""
        return self._copy.is_as_stored() and not self._commits.are_under_way

    def is_idle(self) -> bool:
        """Return whether there is certainly nothing to commit, and no reply under way. Cheap."""
        return not self._replies and self.is_as_stored()

    def commit(self, deadline: Deadline) -> Coroutine[Any, Any, None]:
        """Store what has changed; nothing at all when a value is refused."""
        return self._commits.run(self, deadline, strictly)

    def commit_rest(self, deadline: Deadline) -> Coroutine[Any, Any, None]:
        """Store all that can be stored, then raise for a value that was refused."""
        return self._commits.run(self, deadline, leniently)

    def followed_by(self, follower: Follower) -> None:
        """Tell *follower* of each commit from now on."""
        self._commits.follower = follower

    def is_fresh(self) -> bool:
        """Return whether the TTL needs no refresh: nothing is stored, or nine tenths remain."""
        return self._commits.closed or self._copy.expires_after(
            self._terms.rules.ttl_ms * TOUCH_BELOW
        )

    async def refresh_ttl(self, deadline: Deadline) -> None:
        """Slide the TTL of a conversation that was only read."""
        try:
            ttl_ms = await self.channel.touch(deadline)
            self._copy.expires_ms = time.time() * 1000 + ttl_ms
        except StoreUnavailable:
            logger.debug("the TTL was not refreshed: the store is away")

    def discard(self) -> None:
        """Forget what was changed and not saved."""
        self._replies.clear()
        self._copy.discard()

    def discard_unsent(self) -> None:
        """Forget what was changed and not sent: a commit of unknown outcome is still kept."""
        self._replies.clear()
        self._copy.discard_unsent()

    def checkpoint_replies(self) -> None:
        """Put what the replies under way have so far into the messages."""
        for reply in self._replies:
            reply.checkpoint()

    def interrupt_replies(self) -> None:
        """End the replies that nobody has ended: their streams are over."""
        for reply in list(self._replies):
            reply.interrupt()

    def _new_deadline(self) -> Deadline:
        return Deadline(self._terms.deadline)

    def _place(self, message: Message) -> None:
        """Append *message*, unless a checkpoint has done so."""
        messages = self._copy.messages
        if not messages.holds(message):
            messages.append(message)

    def _require_loaded(self) -> None:
        if not self.is_loaded:
            raise ConversationNotLoaded(
                "this conversation is not loaded yet: await conversation.load() first, "
                'or leave load="lazy" out'
            )

    async def older(self, count: int) -> list[Message]:
        """Bring in older messages: for `messages.older()`."""
        first, messages = self._copy.first_seq, self._copy.messages
        older = await self.channel.older(first, count, self._new_deadline())
        return self._copy.prepend(older, first, messages)
