"""What happened to a session between two writes, merged into one record."""

from typing import Any, TypeAlias

from msgspec import Struct

from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.tracking.snapshot import SessionSnapshot

Key: TypeAlias = tuple[str, str]
"""Owner and id. An empty owner means nobody: a primary key takes no null."""

Item: TypeAlias = dict[str, Any]
"""One activity as it is sent: JSON, with ages in place of times."""

LONGEST_TITLE = 80
LONGEST_KEY = 1_000  # bytes of an owner and an id together: what an index entry can hold
NOBODY = ""
DELETED = "deleted"


class Details(Struct):
    """The part of an activity that most turns do not have; `was` is the key before a move."""

    title: str | None = None
    kind: str | None = None
    step: str | None = None
    refs: dict[str, str | None] | None = None
    counters: dict[str, int] | None = None
    snapshot: SessionSnapshot | None = None
    ended: str | None = None
    was: tuple[Key, ...] = ()

    def merge(self, later: "Details") -> None:
        """Take in what happened after this; the first title stays."""
        self.title = self.title or later.title
        self.kind = self.kind if later.kind is None else later.kind
        self.step = self.step if later.step is None else later.step
        self.snapshot = later.snapshot or self.snapshot
        self.ended = later.ended or self.ended
        self.was += later.was
        if later.refs is not None:
            self.refs = (self.refs or {}) | later.refs
        for name, count in (later.counters or {}).items():
            self.counters = self.counters or {}
            self.counters[name] = self.counters.get(name, 0) + count


class Activity(Struct):
    """What happened to one session between two writes.

    `since` and `at` are its first and last moment, in seconds of the monotonic clock: a clock that
    is set back does not reach the database. Ten thousand of these may wait through an outage, so
    that what most turns do not have is an object of its own.
    """

    since: float
    at: float
    messages: int = 0
    touched: bool = True
    details: Details | None = None

    @property
    def was(self) -> tuple[Key, ...]:
        """The keys that the session had before, the first one first."""
        return () if self.details is None else self.details.was

    @property
    def is_over(self) -> bool:
        """Whether the conversation has ended."""
        return self.details is not None and self.details.ended is not None

    @property
    def weight(self) -> int:
        """The bytes of the snapshot, which is all that may be large."""
        if self.details is None or self.details.snapshot is None:
            return 0
        return self.details.snapshot.size

    def merge(self, later: "Activity") -> None:
        """Take in what happened after this; after the end, only a delete counts."""
        if self.details is not None and self.details.ended:
            if later.details is not None and later.details.ended == DELETED:
                self.details.ended = DELETED
            return
        self.at = later.at
        self.messages += later.messages
        self.touched = self.touched or later.touched
        if self.details is None:
            self.details = later.details
        elif later.details is not None:
            self.details.merge(later.details)

    def item(self, n: int, key: Key, now: float) -> Item:
        """Return this as item *n* of a batch that is sent at *now*."""
        item: Item = {
            "n": n,
            "owner": key[0],
            "id": key[1],
            "touched": self.touched,
            "age": max(0.0, round(now - self.at, 3)),
            "first_age": max(0.0, round(now - self.since, 3)),
            "messages": self.messages,
        }
        details = self.details
        if details is None:
            return item
        said = {"kind": details.kind, "step": details.step, "ended": details.ended}
        item |= {name: cleaned(text) for name, text in said.items() if text is not None}
        if details.title is not None:
            item["title"] = title_of(details.title)
        if details.refs is not None:
            item["refs"] = {
                cleaned(name): value and cleaned(value) for name, value in details.refs.items()
            }
        if details.counters is not None:
            item["counters"] = {cleaned(name): count for name, count in details.counters.items()}
        if details.snapshot is not None:
            item["snapshot"] = details.snapshot.to_json()
        if details.was:
            item["was"] = details.was
        return item


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


def require_text(field: str, text: object) -> str:
    """Return *text*; raises `UnsupportedValue` for what PostgreSQL cannot keep as text."""
    if not isinstance(text, str):
        raise UnsupportedValue(field, "give a string")
    if cleaned(text) != text:
        raise UnsupportedValue(field, "it has a NUL character or a lone surrogate")
    return text


def cleaned(text: str) -> str:
    """Return *text* with a replacement character for what PostgreSQL cannot keep."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def title_of(text: str) -> str:
    """Return the title that a listing shows for a first message: its words in one short line."""
    words = cleaned(text[: 4 * LONGEST_TITLE]).split()
    line = " ".join(words)
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1].rstrip() + "…"
