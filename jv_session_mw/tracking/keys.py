"""The key of a session: its owner and its id."""

from typing import TypeAlias

from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.tracking.texts import require_text

Key: TypeAlias = tuple[str, str]
"""Owner and id. An empty owner means nobody: a primary key takes no null."""

NOBODY = ""
LONGEST_KEY = 1_000  # bytes of an owner and an id together: what an index entry can hold


def key_of(id: object, owner: object) -> Key:
    """Return the key; raises `UnsupportedValue` for what cannot be one."""
    if not isinstance(id, str) or not id:
        raise UnsupportedValue("the session's id", "give a string that is not empty")
    if owner is not None and (not isinstance(owner, str) or not owner):
        raise UnsupportedValue("the owner", "give a string that is not empty, or None for nobody")
    key, size = (owner or NOBODY, id), 0
    for part in key:
        size += len(part)
        if "\0" in part or not part.isascii():
            size += len(require_text("the session's key", part).encode()) - len(part)
    if size > LONGEST_KEY:
        raise UnsupportedValue("the session's key", f"it has more than {LONGEST_KEY} bytes")
    return key
