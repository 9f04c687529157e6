"""One request or WebSocket, from its token to its end."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from jv_session_mw.conversation import Conversation
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import SessionError, StoreUnavailable, UnreadableConversation
from jv_session_mw.exchange import Policy
from jv_session_mw.follower import Follower
from jv_session_mw.gates import HttpExchange, SocketExchange
from jv_session_mw.refusals import hang_up, is_refusal, refuse
from jv_session_mw.store import ConversationStore

STATE_KEY = "conversation"


class Serving:
    """Runs an app with the conversation of each request, under one policy.

    *owner* names the principal of a scope. *lazy* leaves the load to the handler.
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
        deadline = Deadline(policy.seconds)
        if presented.id is not None:
            conversation.channel.name_request()
            if not self._lazy:
                refusal = await _refusal(conversation.load_within(deadline))
                if refusal is not None:
                    await refuse(refusal, scope, send)
                    return
        scope.setdefault("state", {})[STATE_KEY] = conversation
        inflight = policy.inflight
        if scope["type"] == "http":
            exchange = HttpExchange(policy, conversation, presented, deadline, send)
            inflight.begin(exchange)
            try:
                await self._http(exchange, scope, receive, send)
            finally:
                inflight.end(exchange)
            return
        socket = SocketExchange(policy, conversation, presented, deadline, send, take=receive)
        inflight.begin(socket)
        try:
            await self._socket(socket, scope, send)
        finally:
            inflight.end(socket)

    async def _http(
        self, exchange: HttpExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        raised = await _raised(self._app(scope, receive, exchange.send))
        if raised is not None:
            exchange.break_off()
        await exchange.finish()
        failure = exchange.failure
        if failure is None and isinstance(raised, SessionError) and is_refusal(raised):
            failure = raised  # of a lazy load or a save() in the handler
        try:
            if raised is not None and (failure is None or not isinstance(raised, Exception)):
                raise raised
            if failure is not None and (exchange.started or not is_refusal(failure)):
                raise failure  # breaks the response off
        finally:
            raised = None  # else this frame and the error would hold each other
        if failure is not None:
            await refuse(failure, scope, send)

    async def _socket(self, exchange: SocketExchange, scope: Scope, send: Send) -> None:
        raised = await _raised(self._app(scope, exchange.receive, exchange.send))
        await exchange.finish()
        failure = exchange.failure
        ours = failure is not None and is_refusal(failure) and isinstance(raised, Exception)
        try:
            if raised is not None and (not ours or exchange.closed):
                raise raised
        finally:
            raised = None
        if ours and failure is not None:
            await hang_up(failure, send)


def has_conversation(scope: Scope) -> bool:
    """Whether another of our middlewares, further out, has it already."""
    state = scope.get("state")
    return state is not None and isinstance(state.get(STATE_KEY), Conversation)


# What is raised is returned first: compiled code must not wait while it handles an exception.


async def _raised(work: Awaitable[None]) -> BaseException | None:
    try:
        await work
    except BaseException as error:  # noqa: BLE001 - the last gate comes first
        return error
    return None


async def _refusal(load: Awaitable[None]) -> SessionError | None:
    try:
        await load
    except (StoreUnavailable, UnreadableConversation) as error:
        return error
    return None
