"""What an HTTP exchange and a WebSocket have in common."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import anyio
from msgspec import Struct
from starlette.types import Message, Send

from jv_session_mw.checkpoints import Checkpoints
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationConflict, ConversationGone, SessionError, TurnLost
from jv_session_mw.held import HeldConversation
from jv_session_mw.inflight import InFlight
from jv_session_mw.tokens import Presented, Tokens

logger = logging.getLogger("jv_session_mw")

FINAL_COMMIT_SECONDS = 5.0
DRAIN_EVERY = 0.5


class Policy(Struct, frozen=True, kw_only=True):
    """What all exchanges of one middleware have in common.

    What the middleware does by itself for one request has *deadline* seconds of store time. Every
    *checkpoint_seconds* what a stream has written so far is committed; 0 means never.
    """

    tokens: Tokens
    inflight: InFlight
    deadline: float
    commit_on_error: bool
    checkpoint_seconds: float


class Exchange(Struct, eq=False):
    """One request and its response, or one WebSocket, with its conversation.

    It keeps its own reference to the conversation, since the app may put anything into the scope.
    *presented* is what the client came with, *deadline* the store time that it has left.
    """

    policy: Policy
    conversation: HeldConversation[Any]
    presented: Presented
    deadline: Deadline
    forward: Send
    started: bool = False
    failure: SessionError | None = None
    _checkpoints: Checkpoints | None = None

    __repr__ = object.__repr__  # a token has no place in a log

    def begin_checkpoints(self) -> None:
        """Commit at intervals until `end_checkpoints()`, if the policy or a shutdown wants it."""
        self.end_checkpoints()
        policy = self.policy
        every = DRAIN_EVERY if policy.inflight.is_draining else policy.checkpoint_seconds
        if every:
            self._checkpoints = Checkpoints(
                self.conversation, policy.inflight, every=every, deadline=policy.deadline
            )

    def begin_draining(self) -> None:
        """Commit now and then at intervals, if the client has seen the beginning of the answer."""
        if self.started:
            self.begin_checkpoints()
            if self._checkpoints is not None:
                self._checkpoints.commit_now()

    def end_checkpoints(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.end()
            self._checkpoints = None

    @property
    def has_news(self) -> bool:
        """Whether the client's token leads nowhere any more."""
        return self.conversation.deleted or self._has_moved()

    @property
    def would_lose_client(self) -> bool:
        """Whether the client would keep a token that leads nowhere, since nothing replaced it."""
        return self.presented.id is not None and not self.started and self._has_moved()

    def _has_moved(self) -> bool:
        """Say whether it is stored under another id than the one the client came with."""
        conversation = self.conversation
        return bool(conversation.version) and conversation.channel.id != self.presented.id

    @property
    def is_personal(self) -> bool:
        """Whether what the client gets may come from the conversation."""
        return self.conversation.was_used

    def with_token(self, message: Message) -> Message:
        """Return a copy of the message that opens the response, with the token's headers.

        A copy, because the app's own may be a constant that it sends to every client.
        """
        tokens, presented = self.policy.tokens, self.presented
        if self.conversation.gone:
            headers = []  # another request may have given the client a newer token already
        elif self.conversation.deleted:
            headers = tokens.revoke() if presented.id is not None else []
        else:
            channel = self.conversation.channel
            headers = tokens.issue(channel.id, presented)
            if channel.id != presented.id:
                channel.name_request()
        if not headers:
            return self.varying(message)
        names = {name.lower() for name, _ in message.get("headers", ())}
        if b"cache-control" not in names:  # a token is for one client
            headers.append((b"cache-control", b"no-store"))
        return _with(message, *headers, tokens.vary)

    def varying(self, message: Message) -> Message:
        """Return the message that opens the response, with `Vary` if it may be personal.

        A shared cache must not give it to anybody else. Source: RFC 9110, "Vary".
        """
        if self.is_personal:
            return _with(message, self.policy.tokens.vary)
        return message

    async def commit_rest(self) -> None:
        """Commit what can be committed, then raise for what cannot."""
        if self.conversation.is_as_stored():
            return
        try:
            await self.conversation.commit_rest(self.deadline)
        except (ConversationConflict, TurnLost):
            self.conversation.discard()
            raise

    async def end_turn(self) -> None:
        """Let the next turn of this conversation begin, unless a block holds the one under way."""
        turn = self.conversation.held_turn
        if turn is None:
            return
        turn.is_requests = False
        if not turn.is_held:
            await self.policy.inflight.outlive(self.conversation.end_turn())

    def finish(self) -> Coroutine[Any, Any, None]:
        """Commit whatever is still unsaved: the last gate, shielded from cancellation, bounded."""
        return self._finish()

    async def _finish(self) -> None:
        try:
            if self._wind_up():
                await self._save_rest()
        finally:
            self._leave()

    def _leave(self) -> None:
        """End a turn that no earlier gate has ended, after the commits that are under way."""
        self.conversation.is_over = True
        if self.conversation.held_turn is not None:
            self.policy.inflight.spawn(self.conversation.end_turn())

    def _wind_up(self) -> bool:
        """End checkpoints and open replies, and say whether anything may be unsaved."""
        self.end_checkpoints()
        conversation = self.conversation
        conversation.interrupt_replies()
        return not conversation.is_as_stored() and conversation.may_be_unsaved

    async def _save_rest(self) -> None:
        """Commit in a task that nobody cancels.

        The wait is shielded from anyio's scopes. A server that cancels a second time ends the
        wait, but not the task: the store's shutdown waits for that.
        """
        if self._forgoes_rest():
            self.conversation.discard()
            return
        last = self.policy.inflight.spawn(self._commit_last())
        with anyio.CancelScope(shield=True):
            await asyncio.wait({last}, timeout=FINAL_COMMIT_SECONDS)

    def _forgoes_rest(self) -> bool:
        """Say whether what is unsaved is to be dropped, since nobody could ever ask for it."""
        return False

    async def _commit_last(self) -> None:
        self.deadline = Deadline(self.policy.deadline)  # the client does not wait for this one
        try:
            await self.commit_rest()
        except ConversationGone:
            return
        except SessionError as error:
            # The response is over: nobody can be told, so it is logged.
            logger.error("the end of a turn was not stored: %s", error, exc_info=error)


def _with(message: Message, *headers: tuple[bytes, bytes]) -> Message:
    return {**message, "headers": [*message.get("headers", ()), *headers]}
