"""The terms on which a store keeps its conversations."""

from typing import Generic, TypeVar

from msgspec import Struct
from opentelemetry.context import Context

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import Rules
from jv_session_mw.channel import Channel
from jv_session_mw.codec import Codec
from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.inflight import InFlight
from jv_session_mw.keys import encode_key
from jv_session_mw.message_cache import MessageCache
from jv_session_mw.state import StateKind
from jv_session_mw.telemetry import Telemetry

S = TypeVar("S")


class Terms(Struct, Generic[S], frozen=True):
    """What all conversations of one store have in common, so that none of them carries it.

    A load brings the last *window* messages. What a conversation does by itself has *deadline*
    seconds.
    """

    backend: Backend
    telemetry: Telemetry
    inflight: InFlight
    codec: Codec
    cache: MessageCache
    kind: StateKind[S]
    rules: Rules
    window: int
    deadline: float

    def channel(self, id: str, owner: str | None, parent: Context) -> Channel:
        """Return the line to one conversation, whose spans are children of *parent*'s.

        Raises `UnsupportedValue` for an owner that is no string, such as the number of a row.
        """
        if owner is not None and not isinstance(owner, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnsupportedValue("the owner", f"{type(owner).__qualname__} is no string")
        key = encode_key(id, owner)
        return Channel(self.backend, self.telemetry, parent, id, key, owner=owner)
