"""What a handler holds: state and messages under one id, saved without being asked."""

from datetime import UTC, datetime
from typing import Any, Generic

from typing_extensions import TypeVar

from jv_session_mw import ids
from jv_session_mw.channel import Channel
from jv_session_mw.errors import ConversationGone, StoreUnavailable
from jv_session_mw.held import HeldConversation
from jv_session_mw.messages import Message, Messages
from jv_session_mw.reply import Reply
from jv_session_mw.resuming import resume
from jv_session_mw.rotation import move
from jv_session_mw.turn_taking import TurnTaking

S = TypeVar("S", default=dict[str, Any])


class Conversation(HeldConversation[S], Generic[S]):
    """The conversation of one request: change it as plain data, and it is saved.

    `state` is a dict or the store's `state_type`, `messages` a list. Both are saved at the gates
    of the exchange; `save()` does it now. It belongs to one request (or one WebSocket), never to
    two event loops.
    """

    __slots__ = ()

    @property
    def id(self) -> str:
        """The id, not the token that a client holds; asking for it lets the client get one."""
        self.asked_for_id = True
        return self.channel.id

    @property
    def state(self) -> S:
        """The app's own data; raises `UnreadableConversation` when it cannot be read.

        Assigning another type than the store's raises `UnsupportedValue`.
        """
        if not self.is_loaded:
            self._require_loaded()
        return self._copy.state

    @state.setter
    def state(self, state: S) -> None:
        self._require_loaded()
        self._copy.state = state

    @property
    def messages(self) -> Messages:
        """The last messages; raises `UnreadableConversation` when they cannot be read.

        Assigning a list replaces the whole log, older messages included.
        """
        if not self.is_loaded:
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
    def created_at(self) -> datetime | None:
        """When it was first stored, in UTC."""
        created_ms = self._copy.head.created_ms
        return datetime.fromtimestamp(created_ms / 1000, UTC) if created_ms else None

    @property
    def ttl(self) -> float | None:
        """The seconds that remained at the last load or commit."""
        return self._copy.head.ttl_ms / 1000 if self.version else None

    @property
    def expires_at(self) -> datetime | None:
        """When it expires unless another turn comes, in UTC."""
        return datetime.fromtimestamp(self._copy.expires_ms / 1000, UTC) if self.version else None

    @property
    def degraded(self) -> bool:
        """Whether memory stands in for the store, so that this may end with the process."""
        head = self._copy.head
        if not head.version and self.is_new:
            return self._terms.backend.condition().degraded
        return bool(head.fallback)

    def reply(self, role: str = "assistant", **fields: Any) -> Reply:
        """Return a `Reply` that becomes one message of *role* with *fields*.

        Raises `UnreadableConversation` now, rather than when the reply ends.
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
        await self.commit(self._new_deadline())

    async def load(self) -> None:
        """Load it if that has not happened yet: for `load="lazy"`."""
        if not self.is_loaded:
            await self.load_within(self._new_deadline())

    async def reload(self) -> None:
        """Load again and forget what was not saved.

        Raises `ConversationGone`, or `StoreUnavailable` when the store is away and memory knows
        nothing of it.

        State and messages that were handed out before are not saved any more: take them anew.
        """
        async with self._commits.lock:
            await self._load_anew()
            if self._commits.fenced or self.held_turn is None:  # else the turn goes on
                self._commits.fence = 0

    def turn(self, *, wait: float = 30.0) -> TurnTaking:
        """Take the turn: no other request has it in this conversation until it ends.

        `await conversation.turn()` holds it until the last byte of the response, the end of the
        WebSocket's turn, or the end of `store.open()`. `async with conversation.turn():` holds it
        for the block. It begins with what the turns before have stored: take `state` and `messages`
        anew. What was changed before is committed first, and what is changed in it before the next
        one begins. Whoever takes no turn waits for none.

        Raises `ConversationBusy` after *wait* seconds, which is a 409 with `Retry-After`; and, when
        this process was cut off so long that another turn has begun, `TurnLost` at the next commit.
        While memory stands in for the store, only the turns of this process are kept apart.
        """
        return TurnTaking(self, self._terms.inflight, wait, self._terms.deadline)

    async def delete(self) -> None:
        """Delete it, now and for good: no request in flight can bring it back.

        With a tracker its session ends too, as the middleware's `track=` says.
        """
        commits = self._commits
        await commits.settled()  # first: a caller that is cancelled here has deleted nothing
        commits.closed = True
        self._replies.clear()
        self._copy.discard()
        if self._id is not None:
            await self._terms.inflight.outlive(self._delete_stored(self._id))

    async def _delete_stored(self, id: str) -> None:
        """Delete it in the store. Nothing is saved any more, so nobody may break this off."""
        commits = self._commits
        try:
            await self.channel.delete(self._new_deadline())
        except StoreUnavailable:
            commits.closed = False  # it may still be there, and a save finds out
            raise
        finally:
            if commits.closed and commits.follower is not None:
                commits.follower.deleted(id, self.owner)

    async def rotate(self, *, owner: str | None = None) -> None:
        """Move it to a new id, at a change of privilege such as a login; the old id is deleted.

        *owner* is the principal it belongs to from now on, where the middleware names owners.
        Call it before the response starts, which carries the new token, and take `state` and
        `messages` anew afterwards. A request still under way with the old id finds it gone. Once
        the move has begun, a cancellation is raised when it has ended.
        """
        self._require_loaded()
        self.asked_for_id = True
        await self.commit(self._new_deadline())
        owner = self.owner if owner is None else owner
        new = self._terms.channel(ids.mint(), owner, self._parent)
        # Who goes on before the move has ended changes what is to be loaded anew.
        await self._terms.inflight.see_through(self._move_to(new, owner))

    async def _move_to(self, new: Channel, owner: str | None) -> None:
        """Move it to *new*, and go on there as soon as all is copied.

        Whatever fails after that, the token of *new* goes out.
        """

        def take() -> None:
            self._id, self._channel, self.owner, self.known = new.id, new, owner, False
            self._commits.fence = 0

        async with self._commits.lock:
            if not self.version:
                take()
                return
            old, old_owner = self.channel, self.owner
            try:
                await move(old, new, self._terms.deadline, take)
            except StoreUnavailable:
                if self._channel is new:
                    await self._after_move((old.id, old_owner))
                raise
            await self._after_move((old.id, old_owner))

    async def _after_move(self, was: tuple[str, str | None]) -> None:
        """Tell the follower, and load what lies under the new id."""
        if self._commits.follower is not None:
            self._commits.follower.moved(was, (self.channel.id, self.owner))
        await self._load_anew()

    async def resume(self, id: str) -> None:
        """Go on with another conversation of the same owner, as from a list of sessions.

        What was changed so far is committed first. Call it before the response starts, which
        carries the token of the other one, and take `state` and `messages` anew afterwards. With a
        tracker, a paused session becomes active, and what has expired in the store is brought back
        if `TrackPolicy(snapshot=True)` has kept it.

        Raises `ConversationGone` when there is nothing left, or no owner; `UnsupportedValue` for an
        id that no token or session can have; `SessionNotFound`, `InvalidTransition` for a session
        that has ended, and `TrackerUnavailable`.
        """
        self._require_loaded()
        await self.commit(self._new_deadline())
        async with self._commits.lock:
            follower = self._commits.follower
            channel, snapshot = await resume(self._terms, follower, id, self.owner, self._parent)
            self._copy.rebase(snapshot)
            self._replies.clear()
            self._commits.reopen()  # the conversation before this one may have been deleted
            self._id, self._channel, self.known = id, channel, False
            self.is_new, self.asked_for_id = False, True
