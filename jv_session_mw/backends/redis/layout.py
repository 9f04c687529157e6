"""How a conversation lies in Redis: its keys, its meta field, and the bytes around a message.

`{prefix}{<key>}` is a hash of the meta field `@` and one field `.name` per state key, `...:m` is
the list of messages, each `<sequence number>:<value>`, `...:d` the tombstone, and `...:t` the last
turn that was taken. The braces are a hash tag: all four live in one Cluster slot.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from jv_session_mw.backends.redis.waiting import Argument, Command
from jv_session_mw.changes import Snapshot
from jv_session_mw.errors import UnreadableConversation, caused
from jv_session_mw.stretch import NO_MESSAGES, Stretch

LAYOUT: Final = "3"
FIELD: Final = b"."
FEW_FIELDS: Final = 100  # names of so many are remembered; more are likely to differ each time
DIGITS: Final = 15  # of the integers that Lua holds exactly

# What `load.lua` answers if something is stored: a tag, 'found' or 'same', what remains of the TTL,
# the length of the log, version, creation, birth, the last commit and the number of its first
# message, the other fields, and the elements of the list.
Found: TypeAlias = tuple[
    bytes, bytes, int, int, int, int, bytes, bytes, int, list[bytes], list[bytes]
]

_NOT_OURS: Final = chr(0xDC80)  # no name in UTF-8 decodes to this


def redis_keys(prefix: str, key: str) -> tuple[str, str, str]:
    """Return the names of the hash, the list and the tombstone."""
    hash_key = f"{prefix}{{{key}}}"
    return hash_key, f"{hash_key}:m", f"{hash_key}:d"


def turn_key(prefix: str, key: str) -> str:
    """Return the name of the last turn's record."""
    return f"{prefix}{{{key}}}:t"


def script_call(
    script: str, names: Sequence[str], head: str, values: Sequence[Argument]
) -> Command:
    """Return the command that runs *script* on the keys of these *names*."""
    return ("EVALSHA", script, len(names), *names, head, *values)


def scan_pattern(prefix: str) -> str:
    """Return the glob that finds the hashes of *prefix*, but no lists, tombstones and turns."""
    escaped = "".join(f"\\{sign}" if sign in "*?[]^\\" else sign for sign in prefix)
    return escaped + "{*}"


def key_of(prefix: str, name: bytes) -> str | None:
    """Return the conversation's key from the name of its hash; None for a name that is not ours."""
    before, after = f"{prefix}{{".encode(), b"}"
    if not (name.startswith(before) and name.endswith(after) and len(name) > len(before)):
        return None
    key = name[len(before) : -len(after)]
    return None if not key.isascii() or b"{" in key or b"}" in key else key.decode()


def read_snapshot(found: Found, messages: Stretch) -> Snapshot:
    """Build a snapshot from what `load.lua` found, or raise `UnreadableConversation`."""
    _, _, ttl_ms, total, version, created_ms, birth, commit_id, first_seq, pairs, _ = found
    given = tuple(pairs[::2])
    names = _names_of(given) if len(given) <= FEW_FIELDS else _decoded(given)
    fields = {name: pairs[2 * at + 1] for at, name in enumerate(names)}
    fields.pop(_NOT_OURS, None)
    return Snapshot(
        version,
        created_ms,
        max(0, ttl_ms),
        total,
        fields,
        messages,
        birth=birth.decode(),
        commit_id=commit_id.decode(),
        first_seq=first_seq,
    )


@lru_cache(256)
def _names_of(fields: tuple[bytes, ...]) -> list[str]:
    """Return the names of state that *fields* stand for: an app mostly has the same few."""
    return _decoded(fields)


def _decoded(fields: tuple[bytes, ...]) -> list[str]:
    try:
        return [name[1:].decode() if name[:1] == FIELD else _NOT_OURS for name in fields]
    except UnicodeDecodeError as error:
        failure = UnreadableConversation("hash", "the name of a field is not UTF-8")
        raise caused(failure, by=error)


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


def complaint(meta: bytes) -> str:
    """Say why *meta* cannot be read."""
    if not meta.startswith(LAYOUT.encode() + b" "):
        return "it was written by another program or version"
    return "a number, the mark of its birth or its last commits are lost or corrupt"
