"""Checks of what is said about a session: each raises `UnsupportedValue`."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from jv_session_mw.arguments import A_CENTURY
from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.tracking.activity import Details
from jv_session_mw.tracking.cursor import place_of
from jv_session_mw.tracking.keys import key_of
from jv_session_mw.tracking.ledger import Fields, Query
from jv_session_mw.tracking.session import SessionStatus
from jv_session_mw.tracking.snapshot import SessionSnapshot
from jv_session_mw.tracking.texts import require_text

LONGEST_TEXT = 1_000
MOST_NAMES = 64
MOST_PER_PAGE = 200
GREATEST = 2**63 - 1


def details_of(
    *,
    title: str | None,
    kind: str | None,
    step: str | None,
    refs: Mapping[str, str | None] | None,
    counters: Mapping[str, int] | None,
    snapshot: SessionSnapshot | None,
) -> Details:
    """Return the details of a turn; raises `UnsupportedValue`.

    Nobody waits who could be told of a bad text. So one that is too long is cut here, and what
    PostgreSQL cannot keep is replaced when it is written.
    """
    texts = cast("tuple[object, ...]", (title, kind, step))
    if not all(text is None or isinstance(text, str) for text in texts):
        raise UnsupportedValue("title, kind and step", "give strings")
    if snapshot is not None and not _is_of_bytes(snapshot):
        raise UnsupportedValue("the snapshot", "give a SessionSnapshot of bytes")
    return Details(
        title=title[:LONGEST_TEXT] if title and not title.isspace() else None,
        kind=kind[:LONGEST_TEXT] if kind else None,
        step=step[:LONGEST_TEXT] if step else None,
        refs=None if refs is None else _texts(refs),
        counters=None if counters is None else dict(checked_counters(counters)),
        snapshot=snapshot,
    )


def checked_fields(
    title: str | None,
    kind: str | None,
    step: str | None,
    refs: Mapping[str, str | None] | None,
) -> Fields:
    """Return the fields to set; raises `UnsupportedValue`."""
    return Fields(
        title=None if title is None else checked_text("title", title),
        kind=None if kind is None else checked_text("kind", kind),
        step=None if step is None else checked_text("step", step),
        refs=None if refs is None else checked_refs(refs),
    )


def query_of(
    *,
    owner: str | None,
    status: SessionStatus | Collection[SessionStatus],
    kind: str | None,
    refs: Mapping[str, str] | None,
    search: str | None,
    limit: int,
    cursor: str | None,
) -> Query:
    """Return the query for one session more than *limit*, which tells whether more pages follow.

    Raises `UnsupportedValue`.
    """
    if type(limit) is not int or not 1 <= limit <= MOST_PER_PAGE:
        raise UnsupportedValue("the limit", f"give a whole number from 1 to {MOST_PER_PAGE}")
    return Query(
        owner=key_of("any", owner)[0],
        status=_checked_status(status),
        kind=None if kind is None else checked_text("kind", kind),
        refs=None if refs is None else checked_refs(refs),
        search=checked_text("search", search) if search else None,
        after=place_of(cursor) if cursor else None,
        limit=limit + 1,
    )


def checked_text(field: str, text: object) -> str:
    checked = require_text(field, text)
    if len(checked) > LONGEST_TEXT:
        raise UnsupportedValue(field, f"it has more than {LONGEST_TEXT} characters")
    return checked


def checked_refs(refs: Mapping[str, str | None]) -> Mapping[str, str | None]:
    for name, value in _mapping("refs", refs).items():
        checked_text("the name of a reference", name)
        if value is not None:
            checked_text(f"refs.{name}", value)
    return refs


def checked_counters(counters: Mapping[str, int]) -> Mapping[str, int]:
    for name, count in _mapping("counters", counters).items():
        checked_text("the name of a counter", name)
        if type(count) is not int or not -GREATEST <= count <= GREATEST:
            raise UnsupportedValue(f"counters.{name}", "give a whole number of 64 bits")
    return counters


def checked_messages(messages: object) -> int:
    if type(messages) is not int or not -GREATEST <= messages <= GREATEST:
        raise UnsupportedValue("messages", "give a whole number of 64 bits")
    return messages


def _checked_status(
    status: SessionStatus | Collection[SessionStatus],
) -> frozenset[SessionStatus]:
    asked = {status} if isinstance(status, str) else status
    try:
        return frozenset(map(SessionStatus, asked))
    except (ValueError, TypeError) as error:
        known = ", ".join(SessionStatus)
        raise UnsupportedValue("the status", f"give some of {known}") from error


def checked_end(status: str) -> str:
    if status not in ("archived", "deleted"):
        raise UnsupportedValue("the end of a session", "give 'archived' or 'deleted'")
    return status


def checked_seconds(name: str, seconds: object) -> float | None:
    if seconds is None:
        return None
    number = seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else -1
    if not 0 <= number <= A_CENTURY:
        raise UnsupportedValue(name, "give seconds, up to a century of them, or None")
    return float(number)


def _is_of_bytes(snapshot: object) -> bool:
    if not isinstance(snapshot, SessionSnapshot):
        return False
    parts = cast("list[object]", [*snapshot.fields.values(), *snapshot.messages])
    return all(isinstance(part, bytes) for part in parts)


def _texts(refs: Mapping[str, str | None]) -> dict[str, str | None]:
    given = dict(_mapping("refs", refs))
    texts: list[object] = [*given, *(value for value in given.values() if value is not None)]
    if not all(isinstance(text, str) and len(text) <= LONGEST_TEXT for text in texts):
        raise UnsupportedValue("refs", f"give strings of up to {LONGEST_TEXT} characters")
    return given


def _mapping(field: str, values: object) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise UnsupportedValue(field, "give a dict")
    given = cast("Mapping[str, Any]", values)
    if len(given) > MOST_NAMES:
        raise UnsupportedValue(field, f"it has more than {MOST_NAMES} names")
    return given
