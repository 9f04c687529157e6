"""The gates: the moments at which an HTTP exchange or a WebSocket commits."""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.types import Message, Receive

from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone, SessionError
from jv_session_mw.exchange import Exchange
from jv_session_mw.responses import is_last, is_stream, is_whole, readable

logger = logging.getLogger("jv_session_mw")


class HttpExchange(Exchange, eq=False):
    """Commits before the response starts, before its last byte, and after the app has ended.

    The start of a response of known length is held back until its first body message, as ASGI
    lets servers do. If that message is also the last, one look for changes serves both gates.
    Source: ASGI specification, HTTP, "Response Start".
    """

    _start: Message | None = None
    _streams: bool = False
    _expects_trailers: bool = False
    _ended: bool = False
    _token_is_out: bool = False

    def send(self, message: Message) -> Awaitable[None]:
        """Let *message* through once what it promises is stored: a chunk promises nothing yet."""
        if self.started and self.failure is None and message.get("more_body"):
            return self.forward(message)
        return self._send_after_commit(message)

    async def _send_after_commit(self, message: Message) -> None:
        if self.failure is not None:
            return  # refused already: what the app still says is no longer true
        if message["type"] == "http.response.start":
            self._start = message = readable(message)
            self._streams = is_stream(message)
            self._expects_trailers = bool(message.get("trailers"))
            if self._streams:
                await self._begin(message)
            return
        start, last = self._start, is_last(message, self._expects_trailers) and not self._ended
        if start is not None:
            if not last and (self._expects_trailers or not is_whole(start, message)):
                # It has a known length, but comes in pieces. So does a file, which changes nothing.
                self._streams = self.conversation.was_used
            await self._begin(start)
        elif last:
            await self._commit_end()
        if last:
            self._ended = True
            if not self.conversation.is_fresh():
                await self.conversation.refresh_ttl(self.deadline)
            if self.conversation.held_turn is not None:
                await self.end_turn()
        await self.forward(message)

    @property
    def is_personal(self) -> bool:
        return self._streams or self.conversation.was_used  # a stream may still use it

    async def send_refusal(self, message: Message) -> None:
        """Send an answer in place of the app's, with the token if the client needs a new one."""
        if message["type"] == "http.response.start" and self.has_news:
            message = self.with_token(message)
        await self.forward(message)

    def break_off(self, error: BaseException) -> None:
        """Drop what an app changed that was cut off before its response: nothing was promised.

        A start that is held back counts as sent when the app was cancelled, not when it failed:
        then the client hears of the failure. A commit under way may be stored already, and is left
        for the last gate to find out.
        """
        has_failed = isinstance(error, Exception)
        promised = self.started or (self._start is not None and not has_failed)
        self._start = None
        if not promised and not self.policy.commit_on_error:
            self.conversation.discard_unsent()

    def finish(self) -> Coroutine[Any, Any, None]:
        return self._finish() if self._start is None else self._begin_and_finish(self._start)

    async def _begin_and_finish(self, start: Message) -> None:
        """Begin the response that the app has started and left without a body."""
        try:
            with suppress(SessionError):  # it is kept as `failure`, and answered later
                await self._begin(start)
        finally:
            await self._finish()

    def _leave(self) -> None:
        super()._leave()
        if self.started and not self._token_is_out:
            self._tell_of_orphan()

    def begin_checkpoints(self) -> None:
        if self._token_is_out:  # without its token nobody could ask for what is stored
            super().begin_checkpoints()

    def _forgoes_rest(self) -> bool:
        if self._token_is_out or not self.started:
            return False
        logger.warning(
            "changes of a new conversation came after a response without its token, and were "
            "dropped: nobody could ever ask for them. Read conversation.id in the endpoint"
        )
        return True

    def _tell_of_orphan(self) -> None:
        """Log that `save()` has stored what nobody can ask for, unless the app knows its id."""
        conversation = self.conversation
        if conversation.version and not (conversation.asked_for_id or conversation.deleted):
            logger.warning(
                "a new conversation was stored by save() after a response without its token: "
                "nobody can ask for it until it expires. Read conversation.id in the endpoint"
            )

    async def _begin(self, start: Message) -> None:
        self._start = None
        conversation = self.conversation
        if start["status"] >= 500 and not self.policy.commit_on_error:
            conversation.discard()
        if not conversation.is_as_stored():
            try:
                await conversation.commit(self.deadline)
            except ConversationGone:
                pass  # deleted meanwhile, on purpose: no error of this turn
            except SessionError as error:
                conversation.discard()
                self.failure = error
                raise
            except CancelledError:
                self._start = start  # an app that goes on all the same sends it with the body
                raise
        self.started = True
        self._token_is_out = self._needs_token(start["status"])
        opening = self.with_token(start) if self._token_is_out else self.varying(start)
        await self.forward(opening)
        if self._streams:
            self.begin_checkpoints()

    async def _commit_end(self) -> None:
        if not self._token_is_out and self.conversation.may_be_unsaved and self._forgoes_rest():
            self.conversation.discard()
            return
        try:
            await self.commit_rest()
        except ConversationGone:
            return  # deleted meanwhile, on purpose: no error of this turn
        except SessionError as error:
            # The client must not see the end of a turn that is not stored.
            self.failure = error
            raise

    def _needs_token(self, status: int) -> bool:
        conversation = self.conversation
        if conversation.known or conversation.deleted or conversation.version:
            return True
        if conversation.asked_for_id:
            return True
        if status >= 400:
            return False
        # A body of unknown length is still to be written, and may change the conversation. So may
        # a background task, if the handler took the conversation and has not looked at it yet.
        # If the handler has only read it, and the answer is complete, no token is needed.
        return self._streams or (conversation.handed_out and not conversation.was_looked_at)


class SocketExchange(Exchange, eq=False, kw_only=True):
    """Commits before each `receive()`, before it is closed or denied, and at the end.

    A message begins a turn. Each turn has a deadline of its own, as a socket may be open for
    hours. What its commit raises comes out of the `receive()` that ends it, `ConversationGone`
    included, since later turns would be lost too.
    """

    take: Receive
    closed: bool = False
    _in_turn: bool = False
    _refused: bool = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.started = True
            await self.forward(self.with_token(readable(message)))
            self.begin_checkpoints()
            return
        if kind in ("websocket.close", "websocket.http.response.start"):
            await self._commit_turn()
            self.closed = True
            self.end_checkpoints()
            if kind != "websocket.close" and self.has_news:
                message = self.with_token(readable(message))
        await self.forward(message)

    async def receive(self) -> Message:
        """End the turn that the last message began, then wait for the next one."""
        self.failure = None  # of an earlier turn: the app has gone on
        await self._commit_turn()
        message = await self.take()
        if message["type"] == "websocket.receive":
            self._in_turn, self._refused = True, False
        self.closed = message["type"] == "websocket.disconnect"
        return message

    def _forgoes_rest(self) -> bool:
        # Not accepted, so no token has gone out: nobody could ask for it.
        conversation = self.conversation
        return not (self.started or conversation.known or conversation.asked_for_id)

    async def _commit_turn(self) -> None:
        """Commit, unless this turn was refused before: the app has been told.

        If it has taken another one since, that is to end before the client is waited for.
        """
        turn = self.conversation.held_turn
        has_another = turn is not None and turn.is_requests
        if (self._refused and not has_another) or self._forgoes_rest():
            return
        self.deadline = Deadline(self.policy.deadline)
        try:
            await self.commit_rest()
        except SessionError as error:
            self.failure, self._refused, self._in_turn = error, True, False
            await self.end_turn()
            raise
        await self.end_turn()
        if not self._in_turn:
            return
        self._in_turn = False  # only now: a cancelled `receive()` may be called again
        if not self.conversation.is_fresh():
            await self.conversation.refresh_ttl(self.deadline)
