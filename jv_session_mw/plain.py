"""A whole conversation as one plain dict, for `store.get()` and `store.set()`."""

from typing import Any, cast

from jv_session_mw.changes import Changes, Snapshot
from jv_session_mw.codec import Codec
from jv_session_mw.difference import difference
from jv_session_mw.tagging import checked_name


class PlainView:
    """Reads a snapshot as a dict, and turns a dict into the changes that make it stored.

    A list under *messages_key* is the message log. An empty list is kept as a field, so that it
    comes back.
    """

    def __init__(self, codec: Codec, messages_key: str) -> None:
        self._codec = codec
        self._messages_key = messages_key

    def read(self, snapshot: Snapshot) -> dict[str, Any]:
        value: dict[str, Any] = {
            name: self._codec.decode(data, f"state.{name}")
            for name, data in snapshot.fields.items()
        }
        if snapshot.messages:
            value[self._messages_key] = [
                self._codec.decode(data, f"message {number}") for number, data in snapshot.messages
            ]
        return value

    def difference(self, stored: Snapshot, value: dict[str, Any]) -> Changes:
        """Return the changes that turn what is stored into *value*.

        Raises `UnsupportedValue`, and `UnreadableConversation` for what is stored.
        """
        self.read(stored)  # what cannot be read is not to be written over
        key, rest = self._messages_key, dict(value)
        log = rest.get(key)
        if isinstance(log, list) and log:
            del rest[key]
        else:
            log = []
        fields = {
            checked_name(name): self._codec.encode(item, f"state.{name}")
            for name, item in rest.items()
        }
        items = enumerate(cast("list[object]", log))
        messages = [self._codec.encode(item, f"{key}[{at}]") for at, item in items]
        changes = difference(stored, fields, messages)
        changes.revive = stored.deleted
        return changes
