"""ConversationMiddleware: pure ASGI, outermost or nested."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from jv_session_mw.access import SCOPE_KEY
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.exchange import Policy
from jv_session_mw.lifespan import Lifespan
from jv_session_mw.middleware_arguments import check, follower_of, keys_of, tokens_of
from jv_session_mw.process_store import get_conversation_store
from jv_session_mw.resolvers import Resolver
from jv_session_mw.serving import Serving
from jv_session_mw.store import ConversationStore

if TYPE_CHECKING:  # an app without a tracker does not pay for its import
    from jv_session_mw.tracking.follower import TrackPolicy
    from jv_session_mw.tracking.tracker import SessionTracker

logger = logging.getLogger("jv_session_mw")


class ConversationMiddleware:
    """Gives every request its conversation, and saves what the handler changed in it.

    *store* defaults to the process's store from the environment, *secret_keys* (newest first) to
    `JV_SESSION_SECRET_KEYS`, *resolvers* to the header `X-Conversation-ID` and then the cookie
    `__Host-conversation`. *owner* returns the principal that a scope belongs to; the owner becomes
    part of the key. `secure=False` is for development without HTTPS. `load="lazy"` waits for
    `await conversation.load()`. Requests whose path begins with one of *exclude* (whole segments),
    and OPTIONS, never touch the store. *commit_on_error* keeps what was changed before an
    unhandled exception or a status of 500 and above. While an answer is streamed, what has been
    written so far is stored every *checkpoint_seconds*. A *tracker* is told of every commit, as
    *track* says; it is opened and closed with the store.

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
            check(
                store=store,
                resolvers=resolvers,
                owner=owner,
                secure=secure,
                load=load,
                exclude=exclude,
                commit_on_error=commit_on_error,
                checkpoint_seconds=checkpoint_seconds,
            )
            follower = follower_of(tracker, track)
            self.store = store if store is not None else get_conversation_store()
            keys = keys_of(secret_keys)
            tokens = tokens_of(keys, resolvers, self.store.rules, secure=secure)
        except ConfigurationError as error:
            # Starlette makes its middleware in the lifespan. An exception there tells uvicorn that
            # the app has no lifespan, and it goes on: this line is then all that is seen at start.
            logger.critical("the conversation middleware cannot start: %s", error)
            raise
        self.store.telemetry.key_ids(keys[0])
        self.app = app
        self._tracker = tracker
        self._exclude = tuple(prefix.rstrip("/") for prefix in exclude)
        policy = Policy(
            tokens=tokens,
            inflight=self.store.inflight,
            deadline=self.store.deadline,
            commit_on_error=commit_on_error,
            checkpoint_seconds=checkpoint_seconds or 0.0,
        )
        self._serving = Serving(
            app, self.store, policy, owner=owner, lazy=load == "lazy", follower=follower
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(self.app, self.store, self._tracker).run(scope, receive, send)
            return
        if self._concerns(scope):
            await self._serving.run(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _concerns(self, scope: Scope) -> bool:
        if scope["type"] not in ("http", "websocket") or scope.get("method") == "OPTIONS":
            return False
        if SCOPE_KEY in scope:  # another ConversationMiddleware, further out, has put it there
            return False
        if not self._exclude:
            return True
        path, root = scope["path"], scope.get("root_path", "")
        if root and path.startswith(root + "/"):
            path = path.removeprefix(root)  # as the routes of the app have it
        return not any(path == prefix or path.startswith(prefix + "/") for prefix in self._exclude)
