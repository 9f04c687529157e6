"""How a conversation lies in Redis: its keys, its meta fields, and the bytes around a message.

`{prefix}{<key>}` is a hash of meta fields (`@v`, `@c` ...) and one field `.name` per state key,
`...:m` is the list of messages, each `<sequence number>:<value>`, and `...:d` the tombstone. The
braces are a hash tag: all three live in one Cluster slot.
"""

import re

from jv_session_mw.changes import Snapshot
from jv_session_mw.errors import UnreadableConversation

LAYOUT = "1"
FIELD = b"."

_WHOLE = re.compile(rb"[0-9]{1,15}")
_BIRTH = re.compile(rb"[A-Za-z0-9_-]+")
_COMMITS = re.compile(rb"\s*([\w-]+=[0-9]+,[0-9]+\s*)*")


def redis_keys(prefix: str, key: str) -> tuple[str, str, str]:
    """Return the names of the hash, the list and the tombstone."""
    hash_key = f"{prefix}{{{key}}}"
    return hash_key, f"{hash_key}:m", f"{hash_key}:d"


def scan_pattern(prefix: str) -> str:
    """Return the glob that finds the hashes, and only those, of *prefix*."""
    escaped = "".join(f"\\{sign}" if sign in "*?[]^\\" else sign for sign in prefix)
    return escaped + "{*}"


def key_of(prefix: str, name: bytes) -> str | None:
    """Return the conversation's key from the name of its hash, None for a foreign name."""
    before, after = f"{prefix}{{".encode(), b"}"
    if not (name.startswith(before) and name.endswith(after) and len(name) > len(before)):
        return None
    key = name[len(before) : -len(after)]
    return None if not key.isascii() or b"{" in key or b"}" in key else key.decode()


def read_snapshot(ttl_ms: int, total: int, pairs: list[bytes], log: list[bytes]) -> Snapshot:
    """Build a snapshot from what `load.lua` found, or raise `UnreadableConversation`."""
    flat = iter(pairs)
    meta: dict[bytes, bytes] = {}
    fields: dict[str, bytes] = {}
    for name, value in zip(flat, flat, strict=True):
        if name.startswith(FIELD):
            fields[_name(name)] = value
        else:
            meta[name] = value
    if meta.get(b"@f") != LAYOUT.encode():
        raise UnreadableConversation("hash", "it was written by another program or version")
    if not all(_WHOLE.fullmatch(meta.get(name, b"")) for name in (b"@v", b"@c", b"@n", b"@x")):
        raise UnreadableConversation("hash", "one of its numbers is lost or corrupt")
    if not _BIRTH.fullmatch(meta.get(b"@b", b"")):
        raise UnreadableConversation("hash", "the mark of its birth is lost or corrupt")
    if not _COMMITS.fullmatch(meta.get(b"@k", b"?")):
        raise UnreadableConversation("hash", "its last commits are lost or corrupt")
    return Snapshot(
        version=int(meta[b"@v"]),
        birth=meta[b"@b"].decode(),
        created_ms=int(meta[b"@c"]),
        ttl_ms=max(0, ttl_ms),
        total=total,
        fields=fields,
        messages=read_messages(log),
    )


def read_messages(log: list[bytes]) -> list[tuple[int, bytes]]:
    """Split each element of the list into its sequence number and its value."""
    return [_message(element) for element in log]


def _message(element: bytes) -> tuple[int, bytes]:
    seq, colon, value = element.partition(b":")
    if not colon or not _WHOLE.fullmatch(seq):
        raise UnreadableConversation("messages", "an element was written by another program")
    return int(seq), value


def _name(field: bytes) -> str:
    try:
        return field[1:].decode()
    except UnicodeDecodeError as error:
        raise UnreadableConversation("hash", "the name of a field is not UTF-8") from error
