"""What happened to a session between two writes, merged into one record."""

from typing import Any, TypeAlias

from msgspec import Struct

from jv_session_mw.tracking.keys import Key
from jv_session_mw.tracking.snapshot import SessionSnapshot
from jv_session_mw.tracking.texts import cleaned, title_of

Item: TypeAlias = dict[str, Any]
"""One activity as it is sent: JSON, with ages in place of times."""

DELETED = "deleted"


class Details(Struct):
    """The part of an activity that most turns do not have; `was` are the keys before its moves."""

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
