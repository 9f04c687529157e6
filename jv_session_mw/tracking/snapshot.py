"""What is kept of a conversation beside its session, so that it can come back after its TTL."""

import hashlib
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct

from jv_session_mw.changes import Changes, Put, Snapshot
from jv_session_mw.errors import SchemaMissing

MOST_BYTES = 256 * 1024


class SessionSnapshot(Struct, frozen=True):
    """The fields and the last messages of a conversation, as the store's codec has written them.

    If the codec encrypts, they are encrypted here too.
    """

    fields: Mapping[str, bytes]
    messages: Sequence[bytes]

    @property
    def size(self) -> int:
        """The number of bytes in its values."""
        return sum(map(len, self.fields.values())) + sum(map(len, self.messages))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; names are quoted, as the database does not take all of the store's."""
        return {
            "fields": {
                _quoted(name): b64encode(data).decode() for name, data in self.fields.items()
            },
            "messages": [b64encode(data).decode() for data in self.messages],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "SessionSnapshot":
        """Return the snapshot of what `to_json` gave; another version's raises `SchemaMissing`."""
        try:
            fields = {_unquoted(name): b64decode(data) for name, data in kept["fields"].items()}
            return cls(fields, [b64decode(data) for data in kept["messages"]])
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise SchemaMissing("the snapshot was kept by another version: upgrade") from error

    def changes(self) -> Changes:
        """Return the commit that brings it back, with an id of its content: it counts once."""
        digest = hashlib.blake2b(digest_size=9)
        for name, data in sorted(self.fields.items()):
            digest.update(repr((name, data)).encode())
        for data in self.messages:
            digest.update(repr(data).encode())
        changes = Changes(urlsafe_b64encode(digest.digest()).decode(), base_version=0)
        changes.fields = {name: Put(data) for name, data in self.fields.items()}
        changes.appended = list(self.messages)
        return changes


def snapshot_of(stored: Snapshot) -> SessionSnapshot | None:
    """Return the fields of *stored* and the newest messages that fit; None if the fields do not."""
    room = MOST_BYTES - sum(map(len, stored.fields.values()))
    if room < 0:
        return None
    messages, first = stored.messages.values, len(stored.messages)
    while first and len(messages[first - 1]) <= room:
        first -= 1
        room -= len(messages[first])
    return SessionSnapshot(stored.fields, messages[first:])


def _quoted(name: str) -> str:
    return quote(name, errors="surrogatepass")


def _unquoted(name: str) -> str:
    return unquote(name, errors="surrogatepass")
