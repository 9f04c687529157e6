"""Foreign exceptions -> ours: a table, because a missing row is a leak."""

from redis import exceptions as redis_errors

from jv_session_mw.errors import StoreError, StoreUnavailable, UnreadableConversation

# The first row that fits gives the reason; subclasses stand before their parents.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (redis_errors.BusyLoadingError, "loading"),
    (redis_errors.AuthenticationError, "auth"),
    (redis_errors.AuthorizationError, "auth"),
    (redis_errors.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (redis_errors.MaxConnectionsError, "pool"),
    (redis_errors.ConnectionError, "connection"),
    (redis_errors.ReadOnlyError, "readonly"),
    (redis_errors.OutOfMemoryError, "oom"),
    (redis_errors.NoPermissionError, "permission"),
    (redis_errors.RedisError, "error"),
    (OSError, "connection"),
)
FOREIGN = (redis_errors.RedisError, OSError)


def translate(error: Exception) -> StoreError:
    """Return our error for one of redis-py or the socket; the caller chains the cause."""
    text = str(error)
    if isinstance(error, redis_errors.ResponseError):
        if text.startswith("UNREADABLE"):
            return UnreadableConversation("conversation", text.removeprefix("UNREADABLE "))
        if "WRONGTYPE" in text:
            return UnreadableConversation("conversation", "its keys are of another type")
    reason = next((name for kind, name in REASONS if isinstance(error, kind)), "error")
    return StoreUnavailable(f"{type(error).__name__}: {text or reason}", reason=reason)
