"""What all conversations of one store have in common."""

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
from jv_session_mw.state.kind import StateKind
from jv_session_mw.telemetry import Telemetry
from jv_session_mw.turns import Turns

S = TypeVar("S")


class Terms(Struct, Generic[S], frozen=True):
    """What all conversations of one store have in common, held once instead of in each.

    A load brings the last *window* messages. A call of a handler, such as `save()`, has *deadline*
    seconds of store time.
    """

    backend: Backend
    telemetry: Telemetry
    inflight: InFlight
    turns: Turns
    codec: Codec
    cache: MessageCache
    kind: StateKind[S]
    rules: Rules
    window: int
    deadline: float

    def channel(self, id: str, owner: str | None, parent: Context) -> Channel:
        """Return the channel of one conversation, whose spans are children of *parent*'s.

        Raises `UnsupportedValue` for an owner that is not a string, such as a row's number.
        """
        if owner is not None and not isinstance(owner, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnsupportedValue("the owner", f"give a string, not {type(owner).__qualname__}")
        key = encode_key(id, owner)
        return Channel(self.backend, self.telemetry, parent, id, key, owner=owner)
