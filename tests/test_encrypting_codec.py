"""A codec that writes other bytes for the same value each time, as one that encrypts does."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from jv_session_mw import Conversation, MemoryConversationStore
from jv_session_mw.codec import JsonCodec

HEADER = b"salted;"
SALT_BYTES = 8
JSON = JsonCodec()
WHEN = datetime(2026, 1, 1, tzinfo=UTC)  # which has no fingerprint, and is compared by the codec


class Salted:
    """JSON after a random salt."""

    def encode(self, value: object, where: str) -> bytes:
        return HEADER + os.urandom(SALT_BYTES) + JSON.encode(value, where)

    def decode(self, data: bytes, where: str) -> object:
        return JSON.decode(_inside(data), where)

    def decode_all(self, items: Sequence[bytes], where: Callable[[int], str]) -> list[object]:
        return JSON.decode_all([_inside(item) for item in items], where)

    def unchanged(self, value: object, data: bytes) -> bool:
        return JSON.encode(value, "the value") == _inside(data)

    def claims(self, data: bytes) -> bool:
        return data.startswith(HEADER)


def _inside(data: bytes) -> bytes:
    return data[len(HEADER) + SALT_BYTES :]


LOOKS: dict[str, Callable[[Conversation], object]] = {
    "state": lambda conversation: conversation.state["when"],
    "messages": lambda conversation: list(conversation.messages),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_a_look_at_what_was_encrypted_writes_nothing(
    look: Callable[[Conversation], object],
) -> None:
    store = MemoryConversationStore(codec=Salted())
    await store.set("id", {"when": WHEN, "messages": [{"when": WHEN}]})
    async with store.open("id") as conversation:
        look(conversation)
    async with store.open("id") as conversation:
        assert conversation.version == 1
        assert conversation.state["when"] == WHEN
