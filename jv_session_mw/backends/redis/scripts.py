"""The Lua scripts, and the digests by which a server knows them."""

import hashlib
from importlib.resources import files

_FOLDER = files("jv_session_mw.backends.redis") / "lua"


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text("utf-8")


def digest(source: str) -> str:
    """Return what EVALSHA calls a script by; it is a name, and guards nothing."""
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


_NAMES = ("load", "commit", "touch", "delete", "older", "has", "lease")
SOURCES = tuple(_read(name) for name in _NAMES)
LOAD, COMMIT, TOUCH, DELETE, OLDER, HAS, LEASE = (digest(source) for source in SOURCES)
