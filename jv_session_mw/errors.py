"""Every error that leaves this package.

SessionError
├── ConfigurationError          a setting that cannot work, found at start
├── ConversationNotInstalled    asked for a conversation where no middleware runs
├── ConversationNotLoaded       looked at before it was loaded, or messages that outlived it
├── UnsupportedValue            a value that would not come back as it was, or an id that is none
├── UnsupportedEdit             an edit of the message log that a delta cannot express
├── StoreError
│   ├── StoreUnavailable        the store did not answer in time, and there is no fallback
│   ├── UnreadableConversation  what is stored cannot be read; it is left as it is
│   ├── ConversationConflict    refused under on_conflict="reject"
│   ├── ConversationBusy        another turn did not end in time
│   ├── TurnLost                refused because a later turn has begun
│   └── ConversationGone        deleted or expired since it was loaded; never recreated
└── TrackingError
    ├── SessionNotFound         the owner has no session of this id
    ├── InvalidTransition       the session's status does not allow it
    ├── TrackerUnavailable      the tracker's database did not answer, or refused
    └── SchemaMissing           the tracker's database lacks the migrations of this version
"""

from collections.abc import Sequence
from typing import TypeVar

WRITES_REFUSED = frozenset({"oom", "misconf", "readonly", "noreplicas"})


class SessionError(Exception):
    """The root of every error of this package."""


class ConfigurationError(SessionError, ValueError):
    """A setting cannot work; the message names the variable or argument and says what to do."""


class ConversationNotInstalled(SessionError, RuntimeError):
    """No `ConversationMiddleware` has put a conversation into this scope."""


class ConversationNotLoaded(SessionError, RuntimeError):
    """State or messages were looked at before `await conversation.load()` under `load="lazy"`.

    Also raised by `messages.older()` when nothing but the messages is left of a conversation.
    """


class UnsupportedValue(SessionError, TypeError):
    """A value was refused because it would not come back as it was, or cannot be an id or owner.

    `field` names where it stands (`state.price`, `messages[3].content`), `reason` says what is
    wrong with it. Nothing is lost by that: the value stays where the handler put it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} cannot be stored: {reason}")
        self.field = field
        self.reason = reason


class UnsupportedEdit(SessionError, TypeError):
    """Messages were reordered, or inserted before the end, which a stored log does not allow."""


class StoreError(SessionError):
    """The root of what a store call can raise."""


class StoreUnavailable(StoreError):
    """The store is away and nothing stands in for it.

    `reason` is a short, constant name (`timeout`, `connection`, `loading` ...) that is safe to
    log; `retry_after` is when to try again, in seconds.
    """

    def __init__(self, message: str, *, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after

    @property
    def only_writes(self) -> bool:
        """Whether the store can still be read, and only refuses to write for now."""
        return self.reason in WRITES_REFUSED


class UnreadableConversation(StoreError):
    """The stored bytes are corrupt, foreign, of the wrong type or from a newer version.

    They are never overwritten. `where` names the part that cannot be read.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"the stored {where} cannot be read: {reason}; it is left as it is")
        self.where = where
        self.reason = reason


class ConversationConflict(StoreError):
    """Somebody else changed the same fields since they were loaded, and nothing was written.

    `fields` names them. `await conversation.reload()` gives the stored state; apply the change
    again and save.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(f"changed by another request meanwhile: {', '.join(fields)}")
        self.fields = tuple(fields)


class TurnLost(StoreError):
    """A later turn has begun, because this one was cut off from the store for too long.

    Nothing was written, and nothing will be until `await conversation.reload()`.
    """

    def __init__(self) -> None:
        super().__init__("another turn has begun meanwhile: reload the conversation and try again")


class ConversationBusy(StoreError):
    """Another request has the turn, and did not end it in the time that this one would wait."""

    def __init__(self) -> None:
        super().__init__("another request has the turn in this conversation; try again later")


class ConversationGone(StoreError):
    """The conversation was deleted or has expired since it was loaded."""

    def __init__(self) -> None:
        super().__init__("the conversation was deleted or has expired; a save does not revive it")


class TrackingError(SessionError):
    """The root of what a tracker raises."""


class SessionNotFound(TrackingError):
    """The owner has no session of this id: there is none, or it is somebody else's."""

    def __init__(self, id: str) -> None:
        super().__init__("no such chat session of this owner")
        self.id = id


class InvalidTransition(TrackingError):
    """A session with this `status` cannot be what was `asked`; it stays as it is."""

    def __init__(self, id: str, asked: str, status: str) -> None:
        super().__init__(f"a chat session that is {status} cannot be {asked}")
        self.id = id
        self.asked = asked
        self.status = status


class TrackerUnavailable(TrackingError):
    """The tracker's database did not answer, or refuses to do what it is asked.

    `reason` is a short, constant name that is safe to log: `timeout`, `connection`, `overload` and
    `server` pass by themselves; `auth`, `permission` and `protocol` must be fixed by somebody, and
    `retryable` is false for them.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def retryable(self) -> bool:
        return self.reason not in ("auth", "permission", "protocol")


class SchemaMissing(TrackingError):
    """The tracker's database lacks the tables or functions of this version, or hides them."""


Failure = TypeVar("Failure", bound=SessionError)


def caused(failure: Failure, by: BaseException) -> Failure:
    """Return *failure* with *by* as its cause, as `raise failure from by` would set it.

    For errors that are not raised where they are made, and for compiled modules, in which `from`
    has no effect.
    """
    failure.__cause__ = by
    return failure
