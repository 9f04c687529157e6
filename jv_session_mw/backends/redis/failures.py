"""Exceptions of redis-py and the socket as ours, by a table: a missing row would be a leak."""

import re

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
    (redis_errors.InvalidResponse, "protocol"),
    (redis_errors.ReadOnlyError, "readonly"),
    (redis_errors.OutOfMemoryError, "oom"),
    (redis_errors.NoPermissionError, "permission"),
    (redis_errors.MasterDownError, "loading"),
    (redis_errors.ClusterError, "cluster"),
    (redis_errors.AskError, "cluster"),
    (redis_errors.TryAgainError, "cluster"),
    (redis_errors.ClusterCrossSlotError, "cluster"),
    (redis_errors.RedisError, "error"),
    (OSError, "connection"),
)
CLIENT_ERRORS = (redis_errors.RedisError, OSError)

# Errors that redis-py has no class for, or that a script of Redis 6.2 wraps into one of its own.
_WORDS = re.compile(
    r"(?:^|: -)(READONLY|OOM|MISCONF|NOREPLICAS|NOPERM|NOAUTH|MASTERDOWN|CLUSTERDOWN)\b"
    r"|(max number of clients)|(cluster support disabled)|(No master found)"
    r"|(can't run this command)|(has no permissions)|(nknown (?:Redis )?command)"
)
_MEANS = {
    "READONLY": "readonly", "OOM": "oom", "MISCONF": "misconf", "NOREPLICAS": "noreplicas",
    "NOPERM": "permission", "NOAUTH": "auth", "MASTERDOWN": "loading", "CLUSTERDOWN": "cluster",
    "max number of clients": "clients", "cluster support disabled": "cluster",
    "No master found": "sentinel", "can't run this command": "permission",
    "has no permissions": "permission", "nknown command": "permission",
    "nknown Redis command": "permission",
}  # fmt: skip

WHICH_ARGUMENTS = ", with args"  # keys follow, and with them ids and owners: not to be shown
WHICH_SENTINELS = " : <"  # clients follow, with all their options: not to be shown

_HINTS = {
    "cluster support disabled": "this server is not part of a cluster: use redis://",
    "NoScriptError": "SCRIPT LOAD is refused: the user of an ACL needs +script|load",
    "MovedError": "this server is part of a cluster: use redis+cluster://",
}


def translate(error: Exception) -> StoreError:
    """Return our error for one of redis-py or the socket; the caller chains the cause."""
    text, unreachable, _ = str(error).partition(WHICH_SENTINELS)
    text = text.partition(WHICH_ARGUMENTS)[0]
    if isinstance(error, redis_errors.ResponseError):
        if text.startswith("UNREADABLE"):
            return UnreadableConversation("conversation", text.removeprefix("UNREADABLE "))
        if "WRONGTYPE" in text:
            return UnreadableConversation("conversation", "its keys are of another type")
    reason = reason_of(error)
    kind = type(error).__name__
    hint = next((hint for sign, hint in _HINTS.items() if sign in text or sign == kind), "")
    if unreachable:
        hint = "and not every sentinel answers"
    message = f"{kind}: {text or reason}"
    return StoreUnavailable(f"{message}; {hint}" if hint else message, reason=reason)


def reason_of(error: Exception) -> str:
    """Return the short, constant name of what went wrong."""
    found = _WORDS.search(str(error))
    if found is not None:
        return _MEANS[next(word for word in found.groups() if word)]
    return next((name for kind, name in REASONS if isinstance(error, kind)), "error")
