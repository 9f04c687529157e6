"""What the middleware and the handlers need of a tracker of chat sessions."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from jv_session_mw.tracking.session import LIVE, ChatSession, Page, SessionStatus, Swept
from jv_session_mw.tracking.snapshot import SessionSnapshot
from jv_session_mw.tracking.write_behind import TrackerStats


class SessionTracker(Protocol):
    """Keeps the durable list of chat sessions beside the conversations.

    Each call names the owner, None for nobody: another owner's session is not found. `touch`,
    `moved` and `ended` are called within requests: they wait for nothing and raise nothing. All
    other calls are awaited, and raise a `TrackingError` when they were not done: `SessionNotFound`,
    `InvalidTransition`, `TrackerUnavailable`, `SchemaMissing`; or `UnsupportedValue` for what
    cannot be stored. They see all that this process has noted before.
    """

    @property
    def stats(self) -> TrackerStats: ...

    async def open(self) -> None: ...
    async def close(self) -> TrackerStats: ...

    def touch(
        self,
        id: str,
        *,
        owner: str | None,
        messages: int = 0,
        title: str | None = None,
        kind: str | None = None,
        step: str | None = None,
        refs: Mapping[str, str | None] | None = None,
        counters: Mapping[str, int] | None = None,
        snapshot: SessionSnapshot | None = None,
    ) -> bool: ...

    def moved(self, id: str, *, owner: str | None, was: str, was_owner: str | None) -> bool: ...

    def ended(
        self, id: str, *, owner: str | None, status: Literal["archived", "deleted"]
    ) -> bool: ...

    async def create(
        self,
        id: str,
        *,
        owner: str | None,
        title: str | None = None,
        kind: str | None = None,
        step: str | None = None,
        refs: Mapping[str, str] | None = None,
    ) -> ChatSession: ...

    async def update(
        self,
        id: str,
        *,
        owner: str | None,
        title: str | None = None,
        kind: str | None = None,
        step: str | None = None,
        refs: Mapping[str, str | None] | None = None,
    ) -> ChatSession: ...

    async def record(
        self,
        id: str,
        event_id: str,
        *,
        owner: str | None,
        counters: Mapping[str, int],
        step: str | None = None,
        refs: Mapping[str, str | None] | None = None,
    ) -> bool: ...

    async def get(self, id: str, *, owner: str | None) -> ChatSession: ...

    async def get_active(
        self, *, owner: str | None, refs: Mapping[str, str] | None = None
    ) -> ChatSession | None: ...

    async def list(
        self,
        *,
        owner: str | None,
        status: SessionStatus | Collection[SessionStatus] = LIVE,
        kind: str | None = None,
        refs: Mapping[str, str] | None = None,
        search: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page: ...

    async def rename(self, id: str, title: str, *, owner: str | None) -> ChatSession: ...
    async def pause(self, id: str, *, owner: str | None) -> ChatSession: ...
    async def resume(self, id: str, *, owner: str | None) -> ChatSession: ...
    async def complete(self, id: str, *, owner: str | None) -> ChatSession: ...
    async def archive(self, id: str, *, owner: str | None) -> ChatSession: ...
    async def reopen(self, id: str, *, owner: str | None) -> ChatSession: ...
    async def delete(self, id: str, *, owner: str | None) -> bool: ...
    async def delete_owner(self, owner: str) -> Sequence[str]: ...
    async def sweep(
        self,
        *,
        pause_after: float | None = None,
        archive_after: float | None = None,
        delete_after: float | None = None,
    ) -> Swept: ...
    async def snapshot(self, id: str, *, owner: str | None) -> SessionSnapshot | None: ...
    async def flush(self) -> None: ...
