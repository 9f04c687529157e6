"""A chat session: who, what about, which step, how many messages, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SessionStatus(StrEnum):
    """Whether a session goes on. Activity never changes it: only a transition does."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


LIVE = frozenset({SessionStatus.ACTIVE, SessionStatus.PAUSED})
ENDED = frozenset({SessionStatus.COMPLETED, SessionStatus.ARCHIVED})


@dataclass(frozen=True, slots=True)
class Transition:
    """A step to one status from some others; a session that has it already keeps it."""

    to: SessionStatus
    origins: frozenset[SessionStatus]


TRANSITIONS = {
    "paused": Transition(SessionStatus.PAUSED, frozenset({SessionStatus.ACTIVE})),
    "resumed": Transition(SessionStatus.ACTIVE, frozenset({SessionStatus.PAUSED})),
    "completed": Transition(SessionStatus.COMPLETED, LIVE),
    "archived": Transition(SessionStatus.ARCHIVED, LIVE | {SessionStatus.COMPLETED}),
    "reopened": Transition(SessionStatus.ACTIVE, ENDED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSession:
    """What a tracker knows of one session; times are in UTC.

    `owner` is None for a session that belongs to nobody. `kind` and `step` are words of the app's
    own, empty until it sets them. `refs` are external references (`{"trip": "T-17"}`), `counters`
    what the app counts (`{"quotes": 2}`). `ended_at` is None unless it is completed or archived.
    """

    id: str
    owner: str | None
    status: SessionStatus
    title: str
    kind: str
    step: str
    refs: Mapping[str, str]
    counters: Mapping[str, int]
    message_count: int
    started_at: datetime
    last_activity_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions of a listing; `cursor` asks for those that follow, and is None at the end."""

    sessions: tuple[ChatSession, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """How many sessions a retention sweep has paused, archived and deleted."""

    paused: int
    archived: int
    deleted: int
