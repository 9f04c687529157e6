"""The tree of exceptions: what a handler can catch, and what each carries."""

import pytest

from jv_session_mw import (
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
    errors,
)
from jv_session_mw.errors import (
    InvalidTransition,
    SchemaMissing,
    SessionNotFound,
    TrackerUnavailable,
    TrackingError,
)

EVERY_KIND = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
]
EXAMPLES: list[SessionError] = [
    SessionError("text"),
    ConfigurationError("text"),
    ConversationNotInstalled("text"),
    ConversationNotLoaded("text"),
    UnsupportedValue("state.a", "it is a set"),
    UnsupportedEdit("text"),
    StoreError("text"),
    StoreUnavailable("text", reason="timeout", retry_after=2.5),
    UnreadableConversation("state.a", "it is corrupt"),
    ConversationConflict(["a", "b"]),
    TurnLost(),
    ConversationBusy(),
    ConversationGone(),
    TrackingError("text"),
    SessionNotFound("id"),
    InvalidTransition("id", "paused", "archived"),
    TrackerUnavailable("text", reason="timeout"),
    SchemaMissing("text"),
]


def test_every_error_is_public_and_has_one_root() -> None:
    assert {type(error) for error in EXAMPLES} == set(EVERY_KIND)
    assert all(issubclass(kind, SessionError) for kind in EVERY_KIND)


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (ConfigurationError, ValueError),
        (ConversationNotInstalled, RuntimeError),
        (ConversationNotLoaded, RuntimeError),
        (UnsupportedValue, TypeError),
        (UnsupportedEdit, TypeError),
        (StoreUnavailable, StoreError),
        (UnreadableConversation, StoreError),
        (ConversationConflict, StoreError),
        (TurnLost, StoreError),
        (ConversationBusy, StoreError),
        (ConversationGone, StoreError),
        (SessionNotFound, TrackingError),
        (InvalidTransition, TrackingError),
        (TrackerUnavailable, TrackingError),
        (SchemaMissing, TrackingError),
    ],
)
def test_each_is_also_what_python_calls_it(
    kind: type[SessionError], parent: type[Exception]
) -> None:
    assert issubclass(kind, parent)


def test_each_carries_what_a_handler_needs() -> None:
    unavailable = StoreUnavailable("text", reason="timeout", retry_after=2.5)
    assert (unavailable.reason, unavailable.retry_after) == ("timeout", 2.5)
    assert ConversationConflict(["a", "b"]).fields == ("a", "b")
    value = UnsupportedValue("state.a", "it is a set")
    assert (value.field, value.reason) == ("state.a", "it is a set")
    unreadable = UnreadableConversation("state.a", "it is corrupt")
    assert (unreadable.where, unreadable.reason) == ("state.a", "it is corrupt")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (UnsupportedValue("state.a", "it is a set"), ["state.a", "it is a set"]),
        (UnreadableConversation("state.a", "it is corrupt"), ["state.a", "it is corrupt"]),
        (ConversationConflict(["a", "b"]), ["a, b"]),
        (InvalidTransition("id", "paused", "archived"), ["paused", "archived"]),
    ],
)
def test_a_message_says_what_the_error_carries(error: SessionError, says: list[str]) -> None:
    assert all(word in str(error) for word in says)
