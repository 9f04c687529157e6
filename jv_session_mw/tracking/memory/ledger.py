"""Sessions as dicts of this process, under the rules of the migrations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jv_session_mw.tracking.activity import Item
from jv_session_mw.tracking.changing import changed, joined, new_session, summed
from jv_session_mw.tracking.keys import NOBODY, Key
from jv_session_mw.tracking.ledger import Answer, Fields, Query
from jv_session_mw.tracking.session import (
    ENDED,
    LIVE,
    ChatSession,
    SessionStatus,
    Swept,
    Transition,
)


class MemoryLedger:
    """Does on dicts what the functions of the migrations do in a database."""

    name = "memory"

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._sessions: dict[Key, ChatSession] = {}
        self._snapshots: dict[Key, dict[str, Any]] = {}
        self._events: dict[Key, set[str]] = {}
        self._deleted: set[Key] = set()
        self._moved: dict[Key, Key] = {}
        self._deleted_owners: dict[str, datetime] = {}
        self._last_batch: tuple[str, list[int]] = ("", [])

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """The sessions stay until the process ends."""

    async def apply(self, batch: str, items: Sequence[Item]) -> list[int]:
        if batch != self._last_batch[0]:
            for item in items:
                for was in item.get("was", ()):
                    self._rename(was, (item["owner"], item["id"]))
            refused = [item["n"] for item in items if not self._apply(item)]
            self._last_batch = batch, refused
        return self._last_batch[1]

    async def get(self, key: Key) -> ChatSession | None:
        return self._sessions.get(key)

    async def page(self, query: Query) -> list[ChatSession]:
        found = sorted(self._matching(query), key=_place, reverse=True)
        if query.after is not None:
            found = [session for session in found if _place(session) < query.after]
        return found[: query.limit]

    async def create(self, key: Key, fields: Fields) -> Answer:
        if key not in self._sessions:
            self._deleted.discard(key)
            self._moved.pop(key, None)
            now = self._clock()
            self._sessions[key] = new_session(key, now, now)
        return await self.update(key, fields)

    async def update(self, key: Key, fields: Fields) -> Answer:
        session = self._sessions.get(key)
        only_title = fields.kind is None and fields.step is None and fields.refs is None
        if session is None or (session.status in ENDED and not only_title):
            return Answer(session, done=False)
        return self._put(key, changed(session, fields))

    async def transition(self, key: Key, transition: Transition) -> Answer:
        session = self._sessions.get(key)
        if session is None or session.status not in transition.origins:
            return Answer(session, done=False)
        now, to = self._clock(), transition.to
        active = max(now, session.last_activity_at) if to is SessionStatus.ACTIVE else None
        return self._put(
            key,
            replace(
                session,
                status=to,
                last_activity_at=active or session.last_activity_at,
                ended_at=(session.ended_at or now) if to in ENDED else None,
            ),
        )

    async def record(
        self, key: Key, event_id: str, counters: Mapping[str, int], fields: Fields
    ) -> Answer:
        session = self._sessions.get(key)
        if session is None or session.status in ENDED:
            return Answer(session, done=False)
        events = self._events.setdefault(key, set())
        if event_id in events:
            return Answer(session, done=False)
        events.add(event_id)
        counted = replace(
            session,
            counters=summed(session.counters, counters),
            last_activity_at=max(session.last_activity_at, self._clock()),
        )
        return self._put(key, changed(counted, fields))

    async def delete(self, key: Key) -> bool:
        self._deleted.add(key)
        return self._forget(key)

    async def delete_owner(self, owner: str) -> list[str]:
        self._deleted_owners[owner] = self._clock()
        keys = sorted(key for key in self._sessions if key[0] == owner)
        for key in keys:
            await self.delete(key)
        return [id for _, id in keys]

    async def sweep(
        self, pause_after: float | None, archive_after: float | None, delete_after: float | None
    ) -> Swept:
        now = self._clock()
        archived = self._idle(LIVE, archive_after)
        for session in archived:
            ended = replace(session, status=SessionStatus.ARCHIVED, ended_at=now)
            self._put(_key(session), ended)
        paused = self._idle({SessionStatus.ACTIVE}, pause_after)
        for session in paused:
            self._put(_key(session), replace(session, status=SessionStatus.PAUSED))
        over = self._over(delete_after, now)
        for session in over:
            await self.delete(_key(session))
        return Swept(len(paused), len(archived), len(over))

    async def snapshot(self, key: Key) -> dict[str, Any] | None:
        return self._snapshots.get(key)

    def _apply(self, item: Item) -> bool:
        key: Key = (item["owner"], item["id"])
        if "ended" not in item:
            key = self._now(key)
        if item.get("ended") == "deleted":
            self._deleted.add(key)
        taken = not item["touched"] or self._touch(key, item)
        session = self._sessions.get(key)
        if "ended" in item:
            self._snapshots.pop(key, None)
            if item["ended"] == "deleted":
                self._forget(key)
            elif session is None:
                self._deleted.add(key)
            elif session.status is not SessionStatus.ARCHIVED:
                ended = session.ended_at or self._clock()
                self._put(key, replace(session, status=SessionStatus.ARCHIVED, ended_at=ended))
        elif "snapshot" in item and session is not None and session.status in LIVE:
            self._snapshots[key] = item["snapshot"]
        return taken

    def _touch(self, key: Key, item: Item) -> bool:
        now = self._clock()
        at = now - timedelta(seconds=item["age"])
        session = self._sessions.get(key)
        if session is None:
            deleted_at = self._deleted_owners.get(key[0])
            gone = key in self._deleted or key in self._moved
            if gone or (deleted_at is not None and at <= deleted_at):
                return False
            session = new_session(key, now - timedelta(seconds=item["first_age"]), at)
        if session.status in ENDED:
            return False
        fields = Fields(kind=item.get("kind"), step=item.get("step"), refs=item.get("refs"))
        session = replace(
            session,
            title=session.title or item.get("title", ""),
            counters=summed(session.counters, item.get("counters", {})),
            message_count=max(session.message_count + item["messages"], 0),
            last_activity_at=max(session.last_activity_at, at),
        )
        self._put(key, changed(session, fields))
        return True

    def _now(self, key: Key) -> Key:
        """Return the key that a session has now."""
        while key in self._moved:
            key = self._moved[key]
        return key

    def _rename(self, was: Key, key: Key) -> None:
        key = self._now(key)
        if key == was:
            return
        self._moved.setdefault(was, key)
        moved = self._sessions.get(was)
        if moved is None:
            return
        if key not in self._deleted:
            begun = self._sessions.get(
                key, new_session(key, moved.started_at, moved.last_activity_at)
            )
            self._sessions[key] = joined(moved, begun)
            self._events[key] = self._events.get(was, set()) | self._events.get(key, set())
            if was in self._snapshots:
                self._snapshots.setdefault(key, self._snapshots[was])
        self._forget(was)

    def _matching(self, query: Query) -> Iterable[ChatSession]:
        for (owner, _), session in self._sessions.items():
            if owner != query.owner or session.status not in query.status:
                continue
            if query.kind is not None and session.kind != query.kind:
                continue
            if query.refs and not query.refs.items() <= session.refs.items():
                continue
            if query.search is None or query.search.lower() in session.title.lower():
                yield session

    def _idle(self, status: Iterable[SessionStatus], seconds: float | None) -> list[ChatSession]:
        if seconds is None:
            return []
        before = self._clock() - timedelta(seconds=seconds)
        return [
            session
            for session in self._sessions.values()
            if session.status in status and session.last_activity_at < before
        ]

    def _over(self, seconds: float | None, now: datetime) -> list[ChatSession]:
        """Return what had ended by *seconds* before *now*: what ends now is left for later."""
        if seconds is None:
            return []
        before = now - timedelta(seconds=seconds)
        return [
            session
            for session in self._sessions.values()
            if session.ended_at and session.ended_at < before
        ]

    def _put(self, key: Key, session: ChatSession) -> Answer:
        self._sessions[key] = session
        return Answer(session, done=True)

    def _forget(self, key: Key) -> bool:
        self._snapshots.pop(key, None)
        self._events.pop(key, None)
        return self._sessions.pop(key, None) is not None


def _key(session: ChatSession) -> Key:
    return (session.owner or NOBODY, session.id)


def _place(session: ChatSession) -> tuple[datetime, str]:
    return session.last_activity_at, session.id
