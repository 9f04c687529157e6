"""A whole conversation as one plain dict, for the interface of plain gets and sets."""

from typing import Any, cast

from jv_session_mw.changes import Changes, Put, Snapshot, new_commit_id
from jv_session_mw.codec import Codec
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
                self._codec.decode(data, f"message {seq}") for seq, data in snapshot.messages
            ]
        return value

    def difference(self, stored: Snapshot, value: dict[str, Any]) -> Changes:
        """Return what makes *value* of what is stored.

        Raises `UnsupportedValue`, and `UnreadableConversation` for what is stored.
        """
        self.read(stored)  # what cannot be read is not to be written over
        changes = Changes(
            new_commit_id(), stored.version, revive=stored.deleted, birth=stored.birth
        )
        fields = dict(value)
        log = fields.get(self._messages_key)
        if isinstance(log, list) and log:
            del fields[self._messages_key]
        else:
            log = []
        for name, item in fields.items():
            checked_name(name)
            data, base = self._codec.encode(item, f"state.{name}"), stored.fields.get(name)
            if data != base:
                changes.fields[name] = Put(data, base)
        changes.removed = {name: data for name, data in stored.fields.items() if name not in fields}
        self._compare_log(stored, cast("list[object]", log), changes)
        return changes

    def _compare_log(self, stored: Snapshot, log: list[object], changes: Changes) -> None:
        name = self._messages_key
        wanted = [self._codec.encode(item, f"{name}[{at}]") for at, item in enumerate(log)]
        held = list(stored.messages.values)
        if wanted[: len(held)] == held:
            changes.appended = wanted[len(held) :]
            return
        changes.cleared = stored.messages.numbers[-1]
        changes.appended = wanted
