"""What a handler holds: state and messages under one id, saved without being asked."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Generic

from typing_extensions import TypeVar

from jv_session_mw import ids
from jv_session_mw.changes import MISSING, Rules, Snapshot
from jv_session_mw.channel import Channel, Deadline
from jv_session_mw.codec import Codec
from jv_session_mw.commits import Commits, leniently, strictly
from jv_session_mw.errors import ConversationGone, ConversationNotLoaded, StoreUnavailable
from jv_session_mw.inflight import InFlight
from jv_session_mw.messages import Message, Messages
from jv_session_mw.reply import Reply
from jv_session_mw.rotation import move
from jv_session_mw.state import StateKind
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
        "_channel", "_commits", "_connect", "_copy", "_deadline", "_id", "_inflight", "_replies",
        "_rules", "_window", "asked_for_id", "handed_out", "is_loaded", "is_new", "known", "owner",
    )  # fmt: skip

    def __init__(
        self,
        id: str | None,
        owner: str | None,
        *,
        connect: Callable[[str, str | None], Channel],
        inflight: InFlight,
        codec: Codec,
        kind: StateKind[S],
        rules: Rules,
        window: int,
        deadline: float,
        snapshot: Snapshot = MISSING,
    ) -> None:
        self.owner: str | None = owner
        self.is_new = True
        self.known = id is not None
        self.is_loaded = id is None
        self.handed_out = False
        self.asked_for_id = False
        self._id = id
        self._connect = connect
        self._channel: Channel | None = None
        self._rules = rules
        self._window = window
        self._deadline = deadline
        self._copy = WorkingCopy(codec, kind, self._fetch_older, snapshot)
        self._commits = Commits(self._copy, inflight)
        self._inflight = inflight
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
        reply = Reply({"role": role, "content": "", **fields}, self._append, self._replies)
        self._replies.append(reply)
        return reply

    async def save(self) -> None:
        """Commit now what has changed.

        Raises `UnsupportedValue`, `ConversationConflict` (under `on_conflict="reject"`),
        `ConversationGone`, or `StoreUnavailable` when there is no fallback.
        """
        if self.deleted:
            raise ConversationGone
        await self.commit(Deadline(self._deadline))

    async def load(self) -> None:
        """Load it if that has not happened yet: for `load="lazy"`."""
        if not self.is_loaded:
            await self.load_within(Deadline(self._deadline))

    async def reload(self) -> None:
        """Load again and forget what was not saved; raises `ConversationGone`.

        State and messages handed out before are no longer looked at: take them anew.
        """
        await self._commits.settled()
        snapshot = await self.channel.load(self._window, Deadline(self._deadline))
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
                await self.channel.delete(Deadline(self._deadline))
        except StoreUnavailable:
            self._commits.closed = False  # it may still be there, and a save finds out
            raise

    async def rotate(self, *, owner: str | None = None) -> None:
        """Move it to a new id, at a change of privilege such as a login; the old id is deleted.

        *owner* is the principal it belongs to from now on, where the middleware names owners.
        The client gets the new token with this response, so call it before the response starts.
        A request that is still under way with the old id finds it gone. The whole log is copied;
        take `state` and `messages` anew afterwards.
        """
        self._require_loaded()
        self.asked_for_id = True
        await self.commit(Deadline(self._deadline))
        owner = owner if owner is not None else self.owner
        new = self._connect(ids.mint(), owner)
        if self.version:
            await move(self.channel, new, self._deadline)
        self._id, self._channel, self.owner, self.known = new.id, new, owner, False
        if self.version:
            await self.reload()

    # What follows is for the middleware and the store, not for handlers.

    @property
    def channel(self) -> Channel:
        if self._channel is None:
            if self._id is None:
                self._id = ids.mint()
            self._channel = self._connect(self._id, self.owner)
        return self._channel

    @property
    def touched(self) -> bool:
        """Whether state or messages have been looked at."""
        return self._copy.touched

    async def load_within(self, deadline: Deadline) -> None:
        """Load; a tombstone makes this a new conversation under a new id."""
        snapshot = await self.channel.load(self._window, deadline)
        if self.is_loaded:  # by another task of this request meanwhile: what it changed is kept
            return
        if snapshot.deleted:
            self._id, self._channel, self.known, snapshot = None, None, False, MISSING
        self._copy.rebase(snapshot)
        self.is_new = not snapshot.version and not snapshot.fallback
        self.is_loaded = True

    @property
    def may_be_unsaved(self) -> bool:
        """Whether a commit is under way, or something was touched that may have changed."""
        return self._commits.under_way or self._copy.touched

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run *work* to its end, whatever becomes of this request."""
        return self._inflight.spawn(work)

    async def commit(self, deadline: Deadline) -> None:
        """Store what has changed; nothing at all when a value is refused."""
        await self._commits.run(lambda: self.channel, deadline, strictly)

    async def commit_rest(self, deadline: Deadline) -> None:
        """Store all that can be stored, then raise for a value that was refused."""
        await self._commits.run(lambda: self.channel, deadline, leniently)

    async def refresh_ttl(self, deadline: Deadline) -> None:
        """Slide the TTL of a conversation that was only read, once per tenth of it."""
        if self.deleted or not self.version:
            return
        # By the clock, not by the snapshot: a WebSocket or a stream may be open for hours.
        if self._copy.expires_ms - time.time() * 1000 > self._rules.ttl_ms * TOUCH_BELOW:
            return
        try:
            ttl_ms = await self.channel.touch(deadline)
            self._copy.expires_ms = time.time() * 1000 + ttl_ms
        except StoreUnavailable:
            logger.debug("the TTL was not refreshed: the store is away")

    @property
    def has_changes(self) -> bool:
        """Whether a commit would have anything to send."""
        return self._copy.collect() is not None

    def discard(self) -> None:
        """Forget what was changed and not saved."""
        self._replies.clear()
        self._copy.discard()

    def interrupt_replies(self) -> None:
        """End the replies that nobody has ended: their streams are over."""
        for reply in list(self._replies):
            reply.interrupt()

    def _append(self, message: Message) -> None:
        self.messages.append(message)

    def _require_loaded(self) -> None:
        if not self.is_loaded:
            raise ConversationNotLoaded(
                "this conversation is not loaded yet: await conversation.load() first, "
                'or leave load="lazy" out'
            )

    async def _fetch_older(self, count: int) -> list[Message]:
        first, messages = self._copy.first_seq, self._copy.messages
        older = await self.channel.older(first, count, Deadline(self._deadline))
        return self._copy.prepend(older, first, messages)
