"""One turn's view of a conversation in memory, loaded and committed by hand."""

import weakref
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast

from jv_session_mw import Message, Messages
from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import Changes, Rules
from jv_session_mw.codec import JsonCodec
from jv_session_mw.message_cache import MessageCache
from jv_session_mw.state.kind import state_kind
from jv_session_mw.working_copy import WorkingCopy

CODEC = JsonCodec()
S = TypeVar("S")
KEY = "key"
WHOLE = 0


class TypedHandle(Generic[S]):
    """One turn's view of a conversation whose state is of one type."""

    def __init__(
        self, state_type: type[S], memory: Memory | None = None, *, window: int = WHOLE
    ) -> None:
        self.memory = memory or Memory(Rules(60_000))
        self._window = window
        self.copy: WorkingCopy[S] = WorkingCopy(
            CODEC, MessageCache(CODEC), state_kind(state_type), weakref.ref(self)
        )
        self.load()

    @property
    def state(self) -> S:
        return self.copy.state

    @state.setter
    def state(self, state: S) -> None:
        self.copy.state = state

    @property
    def messages(self) -> Messages:
        return self.copy.messages

    def load(self) -> None:
        self.copy.rebase(self.memory.load(KEY, self._window))

    def commit(self) -> Changes | None:
        """Store what changed and return it; None when nothing did."""
        delta = self.copy.collect()
        if delta is None:
            return None
        assert not delta.refused
        self.copy.sending(delta)
        self.copy.absorb(delta, self.memory.commit(KEY, delta.changes))
        return delta.changes

    async def older(self, count: int) -> list[Message]:
        first, messages = self.copy.first_seq, self.copy.messages
        older = self.memory.older(KEY, first, count)
        return self.copy.prepend(older, first, messages)

    def fields(self) -> dict[str, object]:
        """Return the stored fields."""
        fields = self.memory.load(KEY, WHOLE).fields
        return {name: CODEC.decode(data, "x") for name, data in fields.items()}

    def stored(self) -> list[Message]:
        """Return the stored messages."""
        snapshot = self.memory.load(KEY, WHOLE)
        return [cast("Message", CODEC.decode(data, "x")) for data in snapshot.messages.values]


class Handle(TypedHandle[dict[str, Any]]):
    """One turn's view of a conversation whose state is a dict."""

    def __init__(self, memory: Memory | None = None, *, window: int = WHOLE) -> None:
        super().__init__(cast("type[dict[str, Any]]", dict), memory, window=window)


def loaded(messages: Iterable[Message], *, window: int = WHOLE) -> Handle:
    """Return a view of a conversation in which *messages* are stored."""
    author = Handle()
    author.messages.extend(messages)
    author.commit()
    return Handle(author.memory, window=window)


def say(text: object) -> Message:
    return {"role": "user", "content": text}
