"""Where sessions are kept: what a tracker asks of a database, or of this process's memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from jv_session_mw.errors import TrackingError
from jv_session_mw.tracking.activity import Item, Key
from jv_session_mw.tracking.session import ChatSession, SessionStatus, Swept, Transition


class Fields(Struct, frozen=True, kw_only=True):
    """What a session is about, as far as it is to be changed; None leaves a value as it is."""

    title: str | None = None
    kind: str | None = None
    step: str | None = None
    refs: Mapping[str, str | None] | None = None


class Query(Struct, frozen=True, kw_only=True):
    """A page of a listing: `after` is the activity and the id of the session before it."""

    owner: str
    status: frozenset[SessionStatus]
    kind: str | None
    refs: Mapping[str, str | None] | None
    search: str | None
    after: tuple[datetime, str] | None
    limit: int


class Answer(Struct, frozen=True):
    """What a change answers: the session as it is then, None when there is none; was it done?"""

    session: ChatSession | None
    done: bool


class BadItems(TrackingError):
    """A batch was refused as a whole, for something that one of its items holds."""


class Ledger(Protocol):
    """Keeps sessions. Each call is atomic, and raises a `TrackingError` when it was not done.

    `apply` takes one batch once, however often it is sent, and returns the numbers of the items
    that it refused: their session has ended or was deleted. It raises `BadItems` when an item
    cannot be stored at all, and then none is. The other calls may be sent again without harm.
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
