"""Where the conversation of a request is put, and how a handler gets it."""

from collections.abc import MutableMapping
from typing import Any, Protocol, cast

from jv_session_mw.conversation import Conversation
from jv_session_mw.errors import ConversationNotInstalled

# Requests may share one state, as under asgi-lifespan, but never their scope.
SCOPE_KEY = "jv_session_mw.conversation"
STATE_KEY = "conversation"


class HasScope(Protocol):
    """A request, a WebSocket or anything else with an ASGI scope."""

    @property
    def scope(self) -> MutableMapping[str, Any]: ...


def get_conversation(connection: HasScope | MutableMapping[str, Any]) -> Conversation[Any]:
    """Return the conversation of a request, a WebSocket or a bare ASGI scope.

    Raises `ConversationNotInstalled` when no `ConversationMiddleware` runs around the handler, or
    when the path is excluded from it.
    """
    scope = cast("MutableMapping[str, Any]", getattr(connection, "scope", connection))
    conversation: Conversation[Any] | None = scope.get(SCOPE_KEY)
    if conversation is None:
        raise ConversationNotInstalled(
            "no conversation here: add ConversationMiddleware to the app, "
            "and see that `exclude` does not cover this path"
        )
    conversation.handed_out = True
    return conversation


def put_conversation(scope: MutableMapping[str, Any], conversation: Conversation[Any]) -> None:
    """Put *conversation* where handlers find it: in the scope, and in `request.state`."""
    scope[SCOPE_KEY] = conversation
    scope.setdefault("state", {})[STATE_KEY] = conversation
