"""ConversationMiddleware: pure ASGI, outermost or nested."""

import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from jv_session_mw.build import get_conversation_store
from jv_session_mw.conversation import Conversation
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import (
    ConfigurationError,
    SessionError,
    StoreUnavailable,
    UnreadableConversation,
)
from jv_session_mw.exchange import Policy
from jv_session_mw.gates import HttpExchange, SocketExchange
from jv_session_mw.ids import TokenSigner
from jv_session_mw.lifespan import Lifespan
from jv_session_mw.refusals import hang_up, is_refusal, refuse
from jv_session_mw.resolvers import Cookie, Header, Resolver
from jv_session_mw.settings import Settings
from jv_session_mw.store import ConversationStore
from jv_session_mw.tokens import Tokens

if TYPE_CHECKING:  # who has no tracker does not pay for its import
    from jv_session_mw.tracking.following import Following, TrackPolicy
    from jv_session_mw.tracking.tracker import SessionTracker

logger = logging.getLogger("jv_session_mw")

STATE_KEY = "conversation"


class ConversationMiddleware:
    """Gives every request its conversation, and saves what the handler made of it.

    *store* defaults to the process's store from the environment, *secret_keys* (newest first) to
    `JV_SESSION_SECRET_KEYS`, *resolvers* to the header `X-Conversation-ID` and then the cookie
    `__Host-conversation`. *owner* names the principal of a scope; an owner's conversation is
    under a key that contains the owner. `secure=False` is for development without HTTPS.
    `load="lazy"` waits for `await conversation.load()`. Requests whose path begins with one of
    *exclude* (whole segments), and OPTIONS, never touch the store. *commit_on_error* keeps what
    was changed before an unhandled exception or a status of 500 and above. Every
    *checkpoint_seconds* the answer of a stream that is under way is stored as far as it has come.
    A *tracker* follows what is committed, as *track* says; it is opened and closed with the store.

    Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: ConversationStore[Any] | None = None,
        secret_keys: Sequence[str] | None = None,
        resolvers: Sequence[Resolver] | None = None,
        owner: Callable[[Scope], str | None] | None = None,
        secure: bool = True,
        load: Literal["eager", "lazy"] = "eager",
        exclude: Sequence[str] = (),
        commit_on_error: bool = False,
        checkpoint_seconds: float | None = None,
        tracker: "SessionTracker | None" = None,
        track: "TrackPolicy | None" = None,
    ) -> None:
        try:
            _check(store, owner, load, exclude)
            self._following = _following(tracker, track)
            every = _every(checkpoint_seconds)
            self.store = store if store is not None else get_conversation_store()
            tokens = _tokens(self.store, secret_keys, resolvers, secure)
        except ConfigurationError as error:
            # Starlette makes its middleware in the lifespan, where uvicorn takes an exception for
            # an app without one and serves on. This line is then all that is seen at start.
            logger.critical("the conversation middleware cannot start: %s", error)
            raise
        self.app = app
        self._owner = owner
        self._lazy = load == "lazy"
        self._exclude = tuple(prefix.rstrip("/") for prefix in exclude)
        self._policy = Policy(
            tokens, self.store.inflight, self.store.deadline, commit_on_error, every
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            following = self._following
            tracker = None if following is None else following.tracker
            await Lifespan(self.app, self.store, tracker).run(scope, receive, send)
            return
        if not self._concerns(scope):
            await self.app(scope, receive, send)
            return
        policy = self._policy
        presented = policy.tokens.read(scope["headers"])
        conversation = self.store.conversation(presented.id, self._owner and self._owner(scope))
        if self._following is not None:
            conversation.followed_by(self._following)
        deadline = Deadline(policy.seconds)
        if presented.id is not None:
            conversation.channel.name_request()
            if not self._lazy:
                try:
                    await conversation.load_within(deadline)
                except (StoreUnavailable, UnreadableConversation) as error:
                    await refuse(error, scope, send)
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
        try:
            await self.app(scope, receive, exchange.send)
        except BaseException as error:
            exchange.break_off()
            await exchange.finish()
            if exchange.failure is None and isinstance(error, SessionError) and is_refusal(error):
                exchange.failure = error  # of a lazy load or a save() in the handler
            if exchange.failure is None or not isinstance(error, Exception):
                raise
        else:
            await exchange.finish()
        if exchange.failure is not None:
            await self._fail(exchange, scope, send)

    async def _socket(self, exchange: SocketExchange, scope: Scope, send: Send) -> None:
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            await exchange.finish()
            failure = exchange.failure
            ours = failure is not None and is_refusal(failure) and isinstance(error, Exception)
            if failure is None or not ours or exchange.closed:
                raise
            await hang_up(failure, send)
        else:
            await exchange.finish()

    async def _fail(self, exchange: HttpExchange, scope: Scope, send: Send) -> None:
        """Answer for a turn that could not be stored, or break the response off."""
        failure = exchange.failure
        assert failure is not None
        if exchange.started or not is_refusal(failure):
            raise failure
        await refuse(failure, scope, send)

    def _concerns(self, scope: Scope) -> bool:
        if scope["type"] not in ("http", "websocket") or scope.get("method") == "OPTIONS":
            return False
        state = scope.get("state")
        if state and isinstance(state.get(STATE_KEY), Conversation):
            return False  # another of our middlewares, further out, has it already
        if not self._exclude:
            return True
        path = scope["path"]
        return not any(path == prefix or path.startswith(prefix + "/") for prefix in self._exclude)


def _check(store: object, owner: object, load: str, exclude: Sequence[str]) -> None:
    if store is not None and not isinstance(store, ConversationStore):
        raise ConfigurationError(f"store={store!r}: give a store, such as RedisConversationStore()")
    if owner is not None and not callable(owner):
        raise ConfigurationError("owner: give a function from the scope to the owner, or None")
    if load not in ("eager", "lazy"):
        raise ConfigurationError(f"load={load!r}: give 'eager' or 'lazy'")
    if isinstance(exclude, str) or not all(re.match("/+[^/]", prefix) for prefix in exclude):
        raise ConfigurationError(f"exclude={exclude!r}: give a list of paths such as '/static'")


def _following(tracker: "SessionTracker | None", track: "TrackPolicy | None") -> "Following | None":
    if tracker is None:
        if track is not None:
            raise ConfigurationError("track says how to follow, and there is no tracker: give one")
        return None
    if not callable(getattr(tracker, "touch", None)):
        raise ConfigurationError(
            f"tracker={tracker!r}: give a tracker, such as SupabaseSessionTracker()"
        )
    from jv_session_mw.tracking.following import Following, TrackPolicy

    return Following(tracker, track or TrackPolicy())


def _every(seconds: object) -> float:
    """Return the time between two checkpoints, 0 for none."""
    if seconds is None:
        return 0.0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ConfigurationError(
            f"checkpoint_seconds={seconds!r}: give seconds, such as 2.0, or None"
        )
    return float(seconds)


def _tokens(
    store: ConversationStore[Any],
    secret_keys: Sequence[str] | None,
    resolvers: Sequence[Resolver] | None,
    secure: bool,
) -> Tokens:
    if isinstance(secret_keys, str):
        secret_keys = (secret_keys,)
    given = cast("Sequence[object]", secret_keys or ())
    if not all(isinstance(key, str) for key in given):
        raise ConfigurationError("secret_keys: give strings, newest first")
    keys = Settings.from_env().secret_keys if secret_keys is None else tuple(secret_keys)
    if resolvers is None:
        resolvers = (Header("X-Conversation-ID"), Cookie("conversation"))
    if isinstance(resolvers, (Header, Cookie)):
        raise ConfigurationError("resolvers: give a list, such as [Cookie('chat')]")
    if not resolvers:
        raise ConfigurationError("resolvers is empty: a request needs a place for its token")
    if not secure:
        resolvers = [resolver.without_tls() for resolver in resolvers]
    cookies = [resolver.name for resolver in resolvers if isinstance(resolver, Cookie)]
    signer = TokenSigner(
        keys,
        purpose=cookies[0] if cookies else resolvers[0].name,
        max_age=store.rules.lifetime_ms / 1000 or None,
    )
    store.telemetry.key_ids(keys[0])
    return Tokens(signer, resolvers)
