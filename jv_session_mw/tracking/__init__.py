"""The durable list of chat sessions beside the conversations: who, what about, how it ended.

`SupabaseSessionTracker` needs the extra `supabase`, and is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from jv_session_mw.errors import (
    ConfigurationError,
    InvalidTransition,
    SchemaMissing,
    SessionNotFound,
    TrackerUnavailable,
    TrackingError,
)
from jv_session_mw.tracking.follower import TrackPolicy
from jv_session_mw.tracking.memory.tracker import MemorySessionTracker
from jv_session_mw.tracking.session import (
    ENDED,
    LIVE,
    ChatSession,
    Page,
    SessionStatus,
    Swept,
)
from jv_session_mw.tracking.snapshot import SessionSnapshot
from jv_session_mw.tracking.tracker import SessionTracker
from jv_session_mw.tracking.write_behind import TrackerStats

if TYPE_CHECKING:
    from jv_session_mw.tracking.supabase.tracker import SupabaseSessionTracker

__all__ = [
    "ENDED",
    "LIVE",
    "ChatSession",
    "InvalidTransition",
    "MemorySessionTracker",
    "Page",
    "SchemaMissing",
    "SessionNotFound",
    "SessionSnapshot",
    "SessionStatus",
    "SessionTracker",
    "SupabaseSessionTracker",
    "Swept",
    "TrackPolicy",
    "TrackerStats",
    "TrackerUnavailable",
    "TrackingError",
]


def __getattr__(name: str) -> Any:
    if name != "SupabaseSessionTracker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from jv_session_mw.tracking.supabase.tracker import SupabaseSessionTracker
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"SupabaseSessionTracker needs {error.name}: pip install 'jv-session-mw[supabase]'"
        ) from error
    return SupabaseSessionTracker
