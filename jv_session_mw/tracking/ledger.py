"""What a tracker asks of the place where sessions are kept, a database or this process's memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from jv_session_mw.errors import TrackingError
from jv_session_mw.tracking.activity import Item
from jv_session_mw.tracking.keys import Key
from jv_session_mw.tracking.session import ChatSession, SessionStatus, Swept, Transition


class Fields(Struct, frozen=True, kw_only=True):
    """What is to be changed of what a session is about; None leaves a value as it is."""

    title: str | None = None
    kind: str | None = None
    step: str | None = None
    refs: Mapping[str, str | None] | None = None


class Query(Struct, frozen=True, kw_only=True):
    """A page of a listing; `after` is the time of activity and the id of the session before it."""

    owner: str
    status: frozenset[SessionStatus]
    kind: str | None
    refs: Mapping[str, str | None] | None
    search: str | None
    after: tuple[datetime, str] | None
    limit: int


class Answer(Struct, frozen=True):
    """What a change answers: the session after it, if there is one, and whether it was done."""

    session: ChatSession | None
    done: bool


class BadItems(TrackingError):
    """A batch was refused as a whole, because of one of its items."""


class Ledger(Protocol):
    """Keeps sessions. Each call is atomic, and raises a `TrackingError` when it was not done.

    `apply` applies a batch once, however often it is sent, and returns the numbers of the items
    that it refused because their session has ended or was deleted. It raises `BadItems`, and stores
    none, when an item cannot be stored at all. Repeating any other call does no harm.
    """

    name: str

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def apply(self, batch: str, items: Sequence[Item]) -> list[int]: ...
    async def get(self, key: Key) -> ChatSession | None: ...
    async def page(self, query: Query) -> list[ChatSession]: ...
    async def create(self, key: Key, fields: Fields) -> Answer: ...
    async def update(self, key: Key, fields: Fields) -> Answer: ...
    async def transition(self, key: Key, transition: Transition) -> Answer: ...
    async def record(
        self, key: Key, event_id: str, counters: Mapping[str, int], fields: Fields
    ) -> Answer: ...
    async def delete(self, key: Key) -> bool: ...
    async def delete_owner(self, owner: str) -> list[str]: ...
    async def sweep(
        self, pause_after: float | None, archive_after: float | None, delete_after: float | None
    ) -> Swept: ...
    async def snapshot(self, key: Key) -> dict[str, Any] | None: ...
