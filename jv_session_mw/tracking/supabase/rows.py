"""Rows of the table, as they come through the API, and the sessions that they are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from jv_session_mw.errors import SchemaMissing
from jv_session_mw.tracking.ledger import Answer
from jv_session_mw.tracking.session import ChatSession, SessionStatus


def session_of(row: Mapping[str, Any]) -> ChatSession:
    """Return the session; raises `SchemaMissing` for a row of another version's table."""
    try:
        return ChatSession(
            id=row["id"],
            owner=row["owner"] or None,
            status=SessionStatus(row["status"]),
            title=row["title"],
            kind=row["kind"],
            step=row["step"],
            refs=row["refs"],
            counters=row["counters"],
            message_count=row["message_count"],
            started_at=datetime.fromisoformat(row["started_at"]),
            last_activity_at=datetime.fromisoformat(row["last_activity_at"]),
            ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        )
    except (LookupError, ValueError, TypeError) as error:
        raise SchemaMissing(
            "the table is that of another version: apply its migrations, or upgrade this package"
        ) from error


def answer_of(data: Any) -> Answer:
    """Return what a function answers that changes one session."""
    row = cast("Mapping[str, Any] | None", data["session"])
    return Answer(None if row is None else session_of(row), data["done"])
