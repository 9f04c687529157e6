"""Ids and owners -> keys: no id can reach another key, whatever is in it."""

import hashlib
import re
from typing import Final
from urllib.parse import quote, unquote

MAX_LENGTH: Final = 200
EMPTY: Final = "%"
HASHED: Final = "%%"
SEPARATOR: Final = "~"

_AS_IT_IS: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_LENGTH}}}")


def encode_key(id: str, owner: str | None = None) -> str:
    """Return the key of *id*, or of *owner*'s *id*, in letters, digits and `_.-%~`.

    Distinct pairs give distinct keys. A part that is long becomes its SHA-256.
    """
    return _encode(id) if owner is None else f"{_encode(owner)}{SEPARATOR}{_encode(id)}"


def decode_key(key: str) -> tuple[str, str | None]:
    """Return the id and owner of a key; a part that was too long stays the hash it became."""
    owner, separator, id = key.rpartition(SEPARATOR)
    return _decode(id), _decode(owner) if separator else None


def known_id(key: str) -> str:
    """Return the id of a key, or nothing where the key has only its hash."""
    _, _, id = key.rpartition(SEPARATOR)
    return "" if id.startswith(HASHED) else _decode(id)


def _encode(part: str) -> str:
    if _AS_IT_IS.fullmatch(part):
        return part
    if not part:
        return EMPTY
    data = part.encode("utf-8", "surrogatepass")
    if len(data) > MAX_LENGTH:
        return HASHED + hashlib.sha256(data).hexdigest()
    return quote(data, safe="").replace("~", "%7E")


def _decode(part: str) -> str:
    if part == EMPTY:
        return ""
    if part.startswith(HASHED):
        return part
    try:
        return unquote(part, errors="surrogatepass")
    except UnicodeDecodeError:  # not one of ours
        return part
