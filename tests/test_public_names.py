"""The public names: all that are documented and nothing else, and each says what it is."""

import inspect

import pytest

import jv_session_mw

PUBLIC = [
    "ConfigurationError", "Conversation", "ConversationBusy", "ConversationConflict",
    "ConversationGone", "ConversationMiddleware", "ConversationNotInstalled",
    "ConversationNotLoaded", "ConversationStore", "Cookie", "Header", "MemoryConversationStore",
    "Message", "Messages", "RedisConversationStore", "Reply", "SessionError", "StoreError",
    "StoreHealth", "StoreUnavailable", "TurnLost", "UnreadableConversation", "UnsupportedEdit",
    "UnsupportedValue", "__version__", "create_conversation_store", "get_conversation",
    "get_conversation_store", "reset_conversation_store",
]  # fmt: skip


def test_the_public_names_are_those_that_are_documented() -> None:
    assert jv_session_mw.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC


def test_every_public_name_is_there_and_nothing_else() -> None:
    visible = {
        name
        for name, value in vars(jv_session_mw).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible | {"__version__"} == set(PUBLIC)


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if name not in ("__version__", "Message")]
)
def test_every_public_name_says_what_it_is(name: str) -> None:
    value = getattr(jv_session_mw, name)
    first, _, _ = (value.__doc__ or "").strip().partition("\n")
    assert "." in first, f"{name} has no first sentence"


PUBLIC_CLASSES = [
    jv_session_mw.Conversation,
    jv_session_mw.ConversationStore,
    jv_session_mw.Messages,
    jv_session_mw.Reply,
]


@pytest.mark.parametrize("kind", PUBLIC_CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_method_says_what_it_does(kind: type[object]) -> None:
    for name, member in inspect.getmembers(kind):  # those that it inherits are as public
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        assert (inspect.getdoc(member) or "").strip(), f"{kind.__name__}.{name}"
