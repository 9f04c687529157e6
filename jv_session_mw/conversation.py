"""What a handler holds: state and messages under one id, saved without being asked."""

import logging
import time
import weakref
from datetime import UTC, datetime
from typing import Any, Generic

from opentelemetry.context import Context
from typing_extensions import TypeVar

from jv_session_mw import ids
from jv_session_mw.changes import MISSING, Snapshot
from jv_session_mw.channel import Channel
from jv_session_mw.commits import Commits, leniently, strictly
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone, ConversationNotLoaded, StoreUnavailable
from jv_session_mw.messages import Message, Messages
from jv_session_mw.reply import Reply
from jv_session_mw.rotation import move
from jv_session_mw.terms import Terms
from jv_session_mw.working_copy import WorkingCopy

S = TypeVar("S", default=dict[str, Any])

logger = logging.getLogger("jv_session_mw")

TOUCH_BELOW = 0.9


class Conversation(Generic[S]):
    """The conversation of one request: change it as plain data, and it is saved.

    `state` is a dict or the store's `state_type`, `messages` a list. Both are saved at the gates
    of the exchange; `save()` does it now. It belongs to one request (or one WebSocket), never to
    two event loops.
    """

    __slots__ = (
        "__weakref__", "_channel", "_commits", "_copy", "_id", "_parent", "_replies", "_terms",
        "asked_for_id", "handed_out", "is_loaded", "is_new", "known", "owner",
    )  # fmt: skip

    def __init__(
        self,
        id: str | None,
        owner: str | None,
        terms: Terms[S],
        parent: Context,
        snapshot: Snapshot = MISSING,
    ) -> None:
        self.owner: str | None = owner
        self.is_new = True
        self.known = id is not None
        self.is_loaded = id is None
        self.handed_out = False
        self.asked_for_id = False
        self._id = id
        self._terms = terms
        self._parent = parent
        self._channel: Channel | None = None
        self._copy = WorkingCopy(terms.codec, terms.kind, weakref.ref(self), snapshot)
        self._commits = Commits(self._copy)
        self._replies: list[Reply] = []

    @property
    def id(self) -> str:
        """The id inside. Asking a new conversation for it makes the client get its token."""
        self.asked_for_id = True
        return self.channel.id

    @property
    def state(self) -> S:
        """The app's own data; raises `UnreadableConversation` when it cannot be read.

        Assigning another type than the store's raises `UnsupportedValue`.
        """
        self._require_loaded()
        return self._copy.state

    @state.setter
    def state(self, state: S) -> None:
        self._require_loaded()
        self._copy.state = state

    @property
    def messages(self) -> Messages:
        """The last messages; raises `UnreadableConversation` when they cannot be read.

        Assigning a list makes it the whole log, also in place of older messages.
        """
        self._require_loaded()
        return self._copy.messages

    @messages.setter
    def messages(self, messages: list[Message]) -> None:
        held = self.messages
        if messages is not held:  # as it is after +=
            whole = list(messages)
            held.clear()
            held.extend(whole)

    @property
    def version(self) -> int:
        """The number of commits so far; 0 for what is not stored yet."""
        return self._copy.snapshot.version

    @property
    def created_at(self) -> datetime | None:
        """When it was first stored, in UTC."""
        created_ms = self._copy.snapshot.created_ms
        return datetime.fromtimestamp(created_ms / 1000, UTC) if created_ms else None

    @property
    def ttl(self) -> float | None:
        """The seconds that remained at the last load or commit."""
        return self._copy.snapshot.ttl_ms / 1000 if self.version else None

    @property
    def expires_at(self) -> datetime | None:
        """When it expires unless another turn comes, in UTC."""
        return datetime.fromtimestamp(self._copy.expires_ms / 1000, UTC) if self.version else None

    @property
    def deleted(self) -> bool:
        """Whether it was deleted, here or elsewhere; nothing is saved any more."""
        return self._commits.closed

    @property
    def degraded(self) -> bool:
        """Whether memory stands in for the store, so that this may not outlive the process."""
        return bool(self._copy.snapshot.fallback)

    def reply(self, role: str = "assistant", **fields: Any) -> Reply:
        """Return a `Reply` that becomes one message of *role* with *fields*.

        Raises `UnreadableConversation` now rather than when the stream is cut off.
        """
        self.asked_for_id = True
        _ = self.messages
        reply = Reply({"role": role, "content": "", **fields}, self._place, self._replies)
        self._replies.append(reply)
        return reply

    async def save(self) -> None:
        """Commit now what has changed.

        Raises `UnsupportedValue`, `ConversationConflict` (under `on_conflict="reject"`),
        `ConversationGone`, or `StoreUnavailable` when there is no fallback.
        """
        if self.deleted:
            raise ConversationGone
        await self.commit(self._time())

    async def load(self) -> None:
        """Load it if that has not happened yet: for `load="lazy"`."""
        if not self.is_loaded:
            await self.load_within(self._time())

    async def reload(self) -> None:
        """Load again and forget what was not saved; raises `ConversationGone`.

        State and messages handed out before are no longer looked at: take them anew.
        """
        await self._commits.settled()
        snapshot = await self.channel.load(self._terms.window, self._time())
        if not snapshot.version:
            raise ConversationGone
        self._copy.rebase(snapshot)
        self.is_loaded = True

    async def delete(self) -> None:
        """Delete it, now and for good: no request in flight can bring it back."""
        self._commits.closed = True
        self._replies.clear()
        await self._commits.settled()
        self._copy.discard()
        try:
            if self._id is not None:
                await self.channel.delete(self._time())
        except StoreUnavailable:
            self._commits.closed = False  # it may still be there, and a save finds out
            raise

    async def rotate(self, *, owner: str | None = None) -> None:
        """Move it to a new id, at a change of privilege such as a login; the old id is deleted.

        *owner* is the principal it belongs to from now on, where the middleware names owners.
        Call it before the response starts, which carries the new token, and take `state` and
        `messages` anew afterwards. A request still under way with the old id finds it gone.
        """
        self._require_loaded()
        self.asked_for_id = True
        await self.commit(self._time())
        owner = self.owner if owner is None else owner
        new = self._terms.channel(ids.mint(), owner, self._parent)
        if self.version:
            await move(self.channel, new, self._terms.seconds)
        self._id, self._channel, self.owner, self.known = new.id, new, owner, False
        if self.version:
            await self.reload()

    # What follows is for the middleware and the store, not for handlers.

    @property
    def channel(self) -> Channel:
        if self._channel is None:
            if self._id is None:
                self._id = ids.mint()
            self._channel = self._terms.channel(self._id, self.owner, self._parent)
        return self._channel

    @property
    def touched(self) -> bool:
        """Whether state or messages were looked at."""
        return self._copy.touched

    async def load_within(self, deadline: Deadline) -> None:
        """Load; a tombstone makes this a new conversation under a new id."""
        snapshot = await self.channel.load(self._terms.window, deadline)
        if self.is_loaded:  # by another task of this request meanwhile: what it changed is kept
            return
        if snapshot.deleted:
            self._id, self._channel, self.known, snapshot = None, None, False, MISSING
        self._copy.rebase(snapshot)
        self.is_new = not snapshot.version and not snapshot.fallback
        self.is_loaded = True

    @property
    def may_be_unsaved(self) -> bool:
        """Whether something has changed, or a commit is under way."""
        return self._commits.may_be_left

    def is_as_stored(self) -> bool:
        """Say, at little cost, that surely nothing is to be committed; in doubt, False."""
        return self._commits.none_is_left()

    @property
    def is_unsure(self) -> bool:
        """Whether nobody knows yet what became of a commit that was sent."""
        return self._copy.is_unsure

    async def commit(self, deadline: Deadline) -> None:
        """Store what has changed; nothing at all when a value is refused."""
        await self._commits.run(lambda: self.channel, deadline, strictly)

    async def commit_rest(self, deadline: Deadline) -> None:
        """Store all that can be stored, then raise for a value that was refused."""
        await self._commits.run(lambda: self.channel, deadline, leniently)

    def is_fresh(self) -> bool:
        """Say that its TTL need not slide: there is none, or less than a tenth of it is over."""
        return self.deleted or self._copy.expires_after(self._terms.rules.ttl_ms * TOUCH_BELOW)

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

    def checkpoint_replies(self) -> None:
        """Put into the messages what the replies under way have by now."""
        for reply in self._replies:
            reply.checkpoint()

    def interrupt_replies(self) -> None:
        """End the replies that nobody has ended: their streams are over."""
        for reply in list(self._replies):
            reply.interrupt()

    def _time(self) -> Deadline:
        return Deadline(self._terms.seconds)

    def _place(self, message: Message) -> None:
        """Append *message*, unless it is there since a checkpoint."""
        messages = self.messages
        if not any(held is message for held in reversed(messages)):
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
        older = await self.channel.older(first, count, self._time())
        return self._copy.prepend(older, first, messages)
