"""The calls of a tracker that are awaited, over any ledger."""

from collections.abc import Collection, Mapping, Sequence

from jv_session_mw.errors import (
    InvalidTransition,
    SessionNotFound,
    UnsupportedValue,
)
from jv_session_mw.tracking.checks import (
    checked_counters,
    checked_fields,
    checked_seconds,
    checked_text,
    query_of,
)
from jv_session_mw.tracking.cursor import cursor_after
from jv_session_mw.tracking.keys import NOBODY, Key, key_of
from jv_session_mw.tracking.ledger import Answer
from jv_session_mw.tracking.noting import NotingTracker
from jv_session_mw.tracking.session import (
    LIVE,
    TRANSITIONS,
    ChatSession,
    Page,
    SessionStatus,
    Swept,
)
from jv_session_mw.tracking.snapshot import SessionSnapshot

NOTHING = Swept(0, 0, 0)


class LedgerTracker(NotingTracker):
    """The tracker of chat sessions; use `SupabaseSessionTracker` or its sibling in memory.

    A call that is awaited first writes what was noted of its sessions, so that it sees all that
    this process has noted.
    """

    async def create(
        self,
        id: str,
        *,
        owner: str | None,
        title: str | None = None,
        kind: str | None = None,
        step: str | None = None,
        refs: Mapping[str, str] | None = None,
    ) -> ChatSession:
        """Create the session, or change what is given of one that exists, and return it.

        Of a session that has ended only the title can be changed: else `InvalidTransition`.
        """
        key, fields = key_of(id, owner), checked_fields(title, kind, step, refs)
        await self._settle(key)
        with self.telemetry.call("create"):
            answer = await self.ledger.create(key, fields)
        return _done(key, "changed", answer)

    async def update(
        self,
        id: str,
        *,
        owner: str | None,
        title: str | None = None,
        kind: str | None = None,
        step: str | None = None,
        refs: Mapping[str, str | None] | None = None,
    ) -> ChatSession:
        """Change what is given, and return the session; a reference of None is removed.

        Raises `SessionNotFound`. Of a session that has ended only the title can be changed: else
        `InvalidTransition`.
        """
        key, fields = key_of(id, owner), checked_fields(title, kind, step, refs)
        await self._settle(key)
        with self.telemetry.call("update"):
            answer = await self.ledger.update(key, fields)
        return _done(key, "changed", answer)

    async def rename(self, id: str, title: str, *, owner: str | None) -> ChatSession:
        """Give it another title, which no later message replaces; raises `SessionNotFound`."""
        return await self.update(id, owner=owner, title=title)

    async def record(
        self,
        id: str,
        event_id: str,
        *,
        owner: str | None,
        counters: Mapping[str, int],
        step: str | None = None,
        refs: Mapping[str, str | None] | None = None,
    ) -> bool:
        """Count an event such as a quote, once for each *event_id*; say whether it was counted.

        For a webhook that is delivered twice the second answer is False. *step* and *refs* are set
        together with it. Raises `SessionNotFound`, and `InvalidTransition` for a session that has
        ended.
        """
        key, event = key_of(id, owner), checked_text("the event's id", event_id)
        counted = checked_counters(counters)
        fields = checked_fields(None, None, step, refs)
        await self._settle(key)
        with self.telemetry.call("record"):
            answer = await self.ledger.record(key, event, counted, fields)
        if answer.session is not None and answer.session.status in LIVE:
            return answer.done
        _done(key, "counted", answer)
        return answer.done

    async def get(self, id: str, *, owner: str | None) -> ChatSession:
        """Return the session, whatever its status; raises `SessionNotFound`."""
        key = key_of(id, owner)
        await self._settle(key)
        with self.telemetry.call("get"):
            session = await self.ledger.get(key)
        if session is None:
            raise SessionNotFound(id)
        return session

    async def get_active(
        self, *, owner: str | None, refs: Mapping[str, str] | None = None
    ) -> ChatSession | None:
        """Return the live session with the newest activity, None if the owner has no live one."""
        page = await self.list(owner=owner, refs=refs, limit=1)
        return page.sessions[0] if page.sessions else None

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
    ) -> Page:
        """Return a page of the owner's sessions, the newest activity first.

        *refs* finds those that have all of these references, *search* those with this text in the
        title, whatever its case. *limit* is 1 to 200; *cursor* comes from the page before.
        """
        query = query_of(
            owner=owner,
            status=status,
            kind=kind,
            refs=refs,
            search=search,
            limit=limit,
            cursor=cursor,
        )
        await self.behind.drain(lambda noted: noted[0] == query.owner)
        with self.telemetry.call("list"):
            found = await self.ledger.page(query)
        sessions = tuple(found[:limit])
        return Page(sessions, cursor_after(sessions[-1]) if len(found) > limit else None)

    async def pause(self, id: str, *, owner: str | None) -> ChatSession:
        """Set it aside; activity is still counted, but does not end the pause."""
        return await self._transition(id, owner, "paused")

    async def resume(self, id: str, *, owner: str | None) -> ChatSession:
        """Let a paused session go on; raises `InvalidTransition` for one that has ended."""
        return await self._transition(id, owner, "resumed")

    async def complete(self, id: str, *, owner: str | None) -> ChatSession:
        """End it, because it has reached what it was for."""
        return await self._transition(id, owner, "completed")

    async def archive(self, id: str, *, owner: str | None) -> ChatSession:
        """Put it away, live or completed."""
        return await self._transition(id, owner, "archived")

    async def reopen(self, id: str, *, owner: str | None) -> ChatSession:
        """Let a session that has ended go on; raises `InvalidTransition` for a paused one."""
        return await self._transition(id, owner, "reopened")

    async def delete(self, id: str, *, owner: str | None) -> bool:
        """Delete it for good, and say whether there was one; later activity does not revive it."""
        key = key_of(id, owner)
        await self._settle(key)
        with self.telemetry.call("delete"):
            return await self.ledger.delete(key)

    async def delete_owner(self, owner: str) -> Sequence[str]:
        """Delete all sessions of an owner, and return their ids.

        Their conversations stay in the store: `await store.delete(id, owner=owner)` for each.
        """
        key = key_of("any", owner)
        if key[0] == NOBODY:
            raise UnsupportedValue("the owner", "say whose sessions are to be deleted")
        await self.behind.drain(lambda noted: noted[0] == owner)
        with self.telemetry.call("delete_owner"):
            return await self.ledger.delete_owner(owner)

    async def sweep(
        self,
        *,
        pause_after: float | None = None,
        archive_after: float | None = None,
        delete_after: float | None = None,
    ) -> Swept:
        """Pause and archive what was idle for so many seconds, delete what ended so long ago.

        It is for a nightly job, of one process or of several. What is None is left out. What this
        process has noted is written first, so that no busy session looks idle. The work is done in
        small steps: of a sweep that is cut off, the next one does the rest.
        """
        ages = [
            checked_seconds(name, seconds)
            for name, seconds in (
                ("pause_after", pause_after),
                ("archive_after", archive_after),
                ("delete_after", delete_after),
            )
        ]
        await self.behind.drain()
        total = NOTHING
        while True:
            with self.telemetry.call("sweep"):
                step = await self.ledger.sweep(*ages)
            if step == NOTHING:
                return total
            total = Swept(
                total.paused + step.paused,
                total.archived + step.archived,
                total.deleted + step.deleted,
            )

    async def snapshot(self, id: str, *, owner: str | None) -> SessionSnapshot | None:
        """Return what was kept of the conversation, or None."""
        key = key_of(id, owner)
        await self._settle(key)
        with self.telemetry.call("snapshot"):
            kept = await self.ledger.snapshot(key)
        return None if kept is None else SessionSnapshot.from_json(kept)

    async def _settle(self, key: Key) -> None:
        await self.behind.drain(lambda noted: noted == key)

    async def _transition(self, id: str, owner: str | None, asked: str) -> ChatSession:
        key, transition = key_of(id, owner), TRANSITIONS[asked]
        await self._settle(key)
        with self.telemetry.call("transition"):
            answer = await self.ledger.transition(key, transition)
        session = answer.session
        if session is not None and session.status is transition.to:
            return session
        return _done(key, asked, answer)


def _done(key: Key, asked: str, answer: Answer) -> ChatSession:
    if answer.session is None:
        raise SessionNotFound(key[1])
    if not answer.done:
        raise InvalidTransition(key[1], asked, answer.session.status)
    return answer.session
