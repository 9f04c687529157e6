"""The conversation of every request: loaded from Redis, saved when it changed, traced."""

from jv_session_mw.access import get_conversation
from jv_session_mw.build import MemoryConversationStore, RedisConversationStore
from jv_session_mw.conversation import Conversation
from jv_session_mw.errors import (
    ConfigurationError,
    ConversationBusy,
    ConversationConflict,
    ConversationGone,
    ConversationNotInstalled,
    ConversationNotLoaded,
    SessionError,
    StoreError,
    StoreUnavailable,
    TurnLost,
    UnreadableConversation,
    UnsupportedEdit,
    UnsupportedValue,
)
from jv_session_mw.health import StoreHealth
from jv_session_mw.messages import Message, Messages
from jv_session_mw.middleware import ConversationMiddleware
from jv_session_mw.process_store import (
    create_conversation_store,
    get_conversation_store,
    reset_conversation_store,
)
from jv_session_mw.reply import Reply
from jv_session_mw.resolvers import Cookie, Header
from jv_session_mw.store import ConversationStore
from jv_session_mw.version import __version__

__all__ = [
    "ConfigurationError",
    "Conversation",
    "ConversationBusy",
    "ConversationConflict",
    "ConversationGone",
    "ConversationMiddleware",
    "ConversationNotInstalled",
    "ConversationNotLoaded",
    "ConversationStore",
    "Cookie",
    "Header",
    "MemoryConversationStore",
    "Message",
    "Messages",
    "RedisConversationStore",
    "Reply",
    "SessionError",
    "StoreError",
    "StoreHealth",
    "StoreUnavailable",
    "TurnLost",
    "UnreadableConversation",
    "UnsupportedEdit",
    "UnsupportedValue",
    "__version__",
    "create_conversation_store",
    "get_conversation",
    "get_conversation_store",
    "reset_conversation_store",
]
