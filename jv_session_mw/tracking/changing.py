"""Pure functions from a session to what it is after a change."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from jv_session_mw.tracking.keys import Key
from jv_session_mw.tracking.ledger import Fields
from jv_session_mw.tracking.session import ChatSession, SessionStatus


def new_session(key: Key, started_at: datetime, at: datetime) -> ChatSession:
    return ChatSession(
        id=key[1],
        owner=key[0] or None,
        status=SessionStatus.ACTIVE,
        title="",
        kind="",
        step="",
        refs={},
        counters={},
        message_count=0,
        started_at=started_at,
        last_activity_at=at,
        ended_at=None,
    )


def changed(session: ChatSession, fields: Fields) -> ChatSession:
    refs = {**session.refs, **(fields.refs or {})}
    return replace(
        session,
        title=session.title if fields.title is None else fields.title,
        kind=session.kind if fields.kind is None else fields.kind,
        step=session.step if fields.step is None else fields.step,
        refs={name: value for name, value in refs.items() if value is not None},
    )


def joined(moved: ChatSession, begun: ChatSession) -> ChatSession:
    """Return *moved* joined with *begun*, which has begun under the new key meanwhile."""
    over = moved if begun.ended_at is None else begun
    return replace(
        begun,
        status=over.status,
        ended_at=over.ended_at,
        title=moved.title or begun.title,
        kind=begun.kind or moved.kind,
        step=begun.step or moved.step,
        refs={**moved.refs, **begun.refs},
        counters=summed(moved.counters, begun.counters),
        message_count=moved.message_count + begun.message_count,
        started_at=min(moved.started_at, begun.started_at),
        last_activity_at=max(moved.last_activity_at, begun.last_activity_at),
    )


def summed(held: Mapping[str, int], added: Mapping[str, int]) -> Mapping[str, int]:
    return {**held, **{name: held.get(name, 0) + count for name, count in added.items()}}
