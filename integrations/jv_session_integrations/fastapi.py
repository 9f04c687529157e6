"""FastAPI: the conversation as a dependency, which shows its header in the API's documentation."""

from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from jv_session_mw import Conversation, get_conversation

S = TypeVar("S", default=dict[str, Any])

__all__ = ["CurrentConversation", "current_conversation", "get_conversation"]


async def current_conversation(
    connection: HTTPConnection,
    x_conversation_id: Annotated[
        str | None,
        Header(
            description=(
                "The signed token of the conversation, from the same header of an earlier "
                "response. Browsers send a cookie instead; without either a new one begins."
            )
        ),
    ] = None,
) -> Conversation[Any]:
    """Return the conversation of this request or WebSocket, loaded.

    The header parameter is only there for the documentation: the middleware has read and verified
    it before. Raises `ConversationNotInstalled`, and what `Conversation.load()` raises.
    """
    conversation = get_conversation(connection)
    await conversation.load()
    return conversation


CurrentConversation = Annotated[Conversation[S], Depends(current_conversation)]
"""The conversation of this request: `conversation: CurrentConversation` in a path function, or
`CurrentConversation[Trip]` where the store has `state_type=Trip`."""
