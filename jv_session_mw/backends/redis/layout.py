"""How a conversation lies in Redis: its keys, its meta field, and the bytes around a message.

`{prefix}{<key>}` is a hash of the meta field `@` and one field `.name` per state key, `...:m` is
the list of messages, each `<sequence number>:<value>`, and `...:d` the tombstone. The braces are a
hash tag: all three live in one Cluster slot.
"""

import re

from jv_session_mw.changes import NO_MESSAGES, Snapshot, Stretch
from jv_session_mw.errors import UnreadableConversation

LAYOUT = "3"
META = b"@"
FIELD = b"."
DIGITS = 15  # what a number of Lua holds exactly

# Layout, version, created, next number, end of life, birth, and what a load says in place of the
# commits if there are any.
_META = re.compile(rb"3 (\d{1,15}) (\d{1,15}) \d{1,15} \d{1,15} ([\w-]+) \.\.\.")


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


def read_snapshot(ttl_ms: int, total: int, pairs: list[bytes], messages: Stretch) -> Snapshot:
    """Build a snapshot from what `load.lua` found, or raise `UnreadableConversation`."""
    names_and_values = iter(pairs)
    found = dict(zip(names_and_values, names_and_values, strict=True))
    meta = found.pop(META, b"")
    match = _META.fullmatch(meta)
    if match is None:
        raise UnreadableConversation("hash", _complaint(meta))
    version, created, birth = match.groups()
    try:
        fields = {name[1:].decode(): data for name, data in found.items() if name[:1] == FIELD}
    except UnicodeDecodeError as error:
        raise UnreadableConversation("hash", "the name of a field is not UTF-8") from error
    return Snapshot(
        version=int(version),
        birth=birth.decode(),
        created_ms=int(created),
        ttl_ms=max(0, ttl_ms),
        total=total,
        fields=fields,
        messages=messages,
    )


def edges(messages: Stretch) -> list[bytes]:
    """Return the first and the last element as they lie in the list."""
    numbers, values = messages.numbers, messages.values
    return [b"%d:%b" % (numbers[0], values[0]), b"%d:%b" % (numbers[-1], values[-1])]


def read_messages(log: list[bytes]) -> Stretch:
    """Split each element of the list into its sequence number and its value."""
    if not log:
        return NO_MESSAGES
    numbers, colons, values = zip(*[element.partition(b":") for element in log], strict=True)
    digits = b"".join(numbers)
    if not (digits.isdigit() and all(numbers) and all(colons)):
        raise UnreadableConversation("messages", "an element was written by another program")
    if len(digits) > DIGITS and max(map(len, numbers)) > DIGITS:
        raise UnreadableConversation("messages", "the number of an element is too long")
    first, last = int(numbers[0]), int(numbers[-1])
    if last - first == len(values) - 1:
        return Stretch(range(first, last + 1), values)
    return Stretch(list(map(int, numbers)), values)


def _complaint(meta: bytes) -> str:
    if not meta.startswith(LAYOUT.encode() + b" "):
        return "it was written by another program or version"
    return "a number, the mark of its birth or its last commits are lost or corrupt"
