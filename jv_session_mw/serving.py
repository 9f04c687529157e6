"""One request or WebSocket, from its token to its end."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from jv_session_mw.access import put_conversation
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import SessionError, StoreUnavailable, UnreadableConversation
from jv_session_mw.exchange import Policy
from jv_session_mw.follower import Follower
from jv_session_mw.gates import HttpExchange, SocketExchange
from jv_session_mw.refusals import (
    answer_for_app,
    can_deny,
    hang_up,
    is_refusal,
    refusal_in,
    refuse,
)
from jv_session_mw.store import ConversationStore


class Serving:
    """Runs an app with the conversation of each request, under one policy.

    *owner* returns the principal of a scope. *lazy* leaves the load to the handler.
    """

    __slots__ = ("_app", "_follower", "_lazy", "_owner", "_policy", "_store")

    def __init__(
        self,
        app: ASGIApp,
        store: ConversationStore[Any],
        policy: Policy,
        *,
        owner: Callable[[Scope], str | None] | None,
        lazy: bool,
        follower: Follower | None,
    ) -> None:
        self._app = app
        self._store = store
        self._policy = policy
        self._owner = owner
        self._lazy = lazy
        self._follower = follower

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        policy = self._policy
        presented = policy.tokens.read(scope["headers"])
        owner = None if self._owner is None else self._owner(scope)
        conversation = self._store.conversation(presented.id, owner)
        if self._follower is not None:
            conversation.followed_by(self._follower)
        deadline = Deadline(policy.deadline)
        if presented.id is not None:
            conversation.channel.name_request()
            if not self._lazy:
                try:
                    await conversation.load_within(deadline)
                except (StoreUnavailable, UnreadableConversation) as error:
                    await refuse(error, scope, send)
                    return
        put_conversation(scope, conversation)
        exchange: HttpExchange | SocketExchange
        if scope["type"] == "http":
            exchange = HttpExchange(policy, conversation, presented, deadline, send)
            serving = self._http(exchange, scope, receive)
        else:
            exchange = SocketExchange(policy, conversation, presented, deadline, send, take=receive)
            serving = self._socket(exchange, scope, send)
        policy.inflight.begin(exchange)
        try:
            await serving
        finally:
            policy.inflight.end(exchange)

    async def _http(self, exchange: HttpExchange, scope: Scope, receive: Receive) -> None:
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            exchange.break_off(error)
            await exchange.finish()
            if exchange.failure is None:
                exchange.failure = refusal_in(error)  # of a lazy load, or a save() in the handler
            if exchange.failure is None:
                await _answer_for_app(exchange, scope)
                raise
        except BaseException as error:
            exchange.break_off(error)
            await exchange.finish()
            raise
        else:
            await exchange.finish()
        if exchange.failure is not None:
            await _fail(exchange, exchange.failure, scope)

    async def _socket(self, exchange: SocketExchange, scope: Scope, send: Send) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            await exchange.finish()
            refusal = None if exchange.closed else refusal_in(error)
            if refusal is None:
                await _deny_for_app(exchange, scope)
                raise
            if exchange.started:
                await hang_up(refusal, send)
            else:
                await refuse(refusal, scope, send)
        except BaseException:
            await exchange.finish()
            raise
        else:
            await exchange.finish()


async def _answer_for_app(exchange: HttpExchange, scope: Scope) -> None:
    """Send 500 with the new token when the app has failed and the old token leads nowhere."""
    if exchange.would_lose_client:
        with suppress(OSError):  # the client is gone; the app's own error matters more
            await answer_for_app(scope, exchange.send_refusal)


async def _deny_for_app(exchange: SocketExchange, scope: Scope) -> None:
    """Do the same for a WebSocket whose handshake can be answered with a response."""
    if exchange.would_lose_client and not exchange.closed and can_deny(scope):
        with suppress(OSError):
            await answer_for_app(scope, exchange.send)


async def _fail(exchange: HttpExchange, failure: SessionError, scope: Scope) -> None:
    """Answer for a turn that could not be stored, or break off the response that has begun."""
    if exchange.started or not is_refusal(failure):
        raise failure
    await refuse(failure, scope, exchange.send_refusal)
