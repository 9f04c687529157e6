"""Starlette: the conversation in `request.state`, typed."""

from typing import Any, Generic, TypedDict

from typing_extensions import TypeVar

from jv_session_mw import Conversation, get_conversation

S = TypeVar("S", default=dict[str, Any])

__all__ = ["ConversationState", "get_conversation"]


class ConversationState(TypedDict, Generic[S]):
    """The state of a request, for `Request[ConversationState[Trip]]`, from Starlette 0.52 on."""

    conversation: Conversation[S]
