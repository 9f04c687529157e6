"""Conversations in this process: for development, for tests, and in place of Redis."""

import time
from collections import OrderedDict
from collections.abc import Callable

from jv_session_mw.backends.entry import (
    ENTRY_OVERHEAD_BYTES,
    ITEM_OVERHEAD_BYTES,
    Entry,
    conflicts,
    measured,
    rewrite,
)
from jv_session_mw.backends.tombstones import Tombstones
from jv_session_mw.changes import (
    DELETED,
    GONE,
    MISSING,
    Changes,
    Condition,
    Outcome,
    Rules,
    Snapshot,
)


class MemoryBackend:
    """A `Backend` of plain dictionaries, bounded by entries and bytes.

    Past a bound the least recently used conversation goes first. No method awaits anything, so
    each call is atomic among the tasks of one event loop. Expiry uses a monotonic clock; *wall*
    only dates the creation.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._clock = clock
        self._wall = wall
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._tombstones = Tombstones(rules.ttl_ms / 1000, max_entries, clock)
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None or self.is_deleted(key)

    @property
    def size(self) -> int:
        """The bytes that the entries take, by estimate."""
        return self._bytes

    async def open(self, timeout: float) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ping(self, timeout: float) -> None:
        pass

    def condition(self) -> Condition:
        return Condition(in_memory=len(self))

    async def load(self, key: str, window: int, timeout: float) -> Snapshot:
        return self.snapshot(key, window)

    async def older(
        self, key: str, before: int, count: int, timeout: float
    ) -> list[tuple[int, bytes]]:
        entry = self._find(key)
        if entry is None or count <= 0:
            return []
        return [message for message in entry.messages if message[0] < before][-count:]

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        return self.apply(key, changes)

    async def touch(self, key: str, timeout: float) -> int:
        entry = self._find(key)
        if entry is None:
            return 0
        self._refresh(entry)
        return self._remaining_ms(entry)

    async def delete(self, key: str, timeout: float) -> bool:
        existed = self._find(key) is not None
        self.bury(key)
        return existed

    async def has(self, key: str, timeout: float) -> bool:
        return self._find(key) is not None

    async def keys(self, timeout: float) -> list[str]:
        return [key for key in list(self._entries) if self._find(key) is not None]

    def is_deleted(self, key: str) -> bool:
        """Say whether a tombstone stands under *key*."""
        return key in self._tombstones

    def snapshot(self, key: str, window: int) -> Snapshot:
        """Return what is kept under *key*; the bytes are shared, the containers are not."""
        if self.is_deleted(key):
            return DELETED
        entry = self._find(key)
        if entry is None:
            return MISSING
        return Snapshot(
            version=entry.version,
            birth=entry.birth,
            created_ms=entry.created_ms,
            ttl_ms=self._remaining_ms(entry),
            total=entry.unseen + len(entry.messages),
            fields=dict(entry.fields),
            messages=entry.messages[-window:],
        )

    def keep(self, key: str, snapshot: Snapshot) -> None:
        """Take *snapshot*, loaded elsewhere, as what is stored here, unless that is newer."""
        held = self._find(key)
        if held is not None and held.birth == snapshot.birth and held.version > snapshot.version:
            return  # a commit has overtaken the load
        self.forget(key)
        self._tombstones.take_away(key)
        now = self._clock()
        entry = Entry(
            version=snapshot.version,
            birth=snapshot.birth,
            created_ms=snapshot.created_ms,
            expires=now + snapshot.ttl_ms / 1000,
            dies=self._end_of_life(snapshot.created_ms, now),
            fields=dict(snapshot.fields),
            messages=list(snapshot.messages),
            next_seq=snapshot.messages[-1][0] + 1 if snapshot.messages else 1,
            unseen=snapshot.total - len(snapshot.messages),
        )
        self._entries[key] = entry
        self._measure(key, entry)

    def forget(self, key: str) -> None:
        """Drop what is kept under *key*, without a tombstone."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size

    def bury(self, key: str) -> None:
        """Drop what is kept under *key*, and leave a tombstone for one TTL."""
        self.forget(key)
        self._tombstones.set(key)

    def apply(self, key: str, changes: Changes) -> Outcome:
        """Apply a commit by the same rules as Redis does."""
        if changes.revive:
            self._tombstones.take_away(key)
        elif self.is_deleted(key):
            return GONE
        entry = self._find(key)
        if changes.base_version > 0 and (entry is None or changes.birth not in ("", entry.birth)):
            return GONE
        if entry is None:
            entry = self._create(key, changes.commit_id)
            return self._write(key, entry, changes, [])
        for commit_id, outcome in entry.commits:
            if commit_id == changes.commit_id:
                return outcome
        collisions = conflicts(entry, changes)
        if collisions and self.rules.reject:
            return Outcome(status="conflict", version=entry.version, conflicts=collisions)
        return self._write(key, entry, changes, collisions)

    def admit(self, key: str, changes: Changes) -> None:
        """Make room for a conversation of which only what *changes* rest on is known."""
        self._create(key, changes.birth).version = changes.base_version

    def move(self, key: str, other: "MemoryBackend") -> bool:
        """Hand what is kept under *key* over to *other*; say whether there was anything."""
        entry = self._find(key)
        if entry is None:
            return False
        self.forget(key)
        other._entries[key] = entry
        other._resize(entry.size)
        return True

    def follow(self, key: str, changes: Changes, outcome: Outcome, window: int) -> None:
        """Do to the copy kept here what *outcome* says was done to the original.

        Only about *window* messages stay, as the original has the others.
        """
        if changes.revive:
            self._tombstones.take_away(key)
        entry = self._find(key)
        if entry is None:
            if changes.base_version > 0 or outcome.total > len(changes.appended):
                return
            entry = self._create(key, outcome.birth)
            entry.created_ms = outcome.created_ms
        entry.next_seq = outcome.first_seq
        entry.version = outcome.version - 1
        self._write(key, entry, changes, [])
        if len(entry.messages) > 2 * window > 0:
            del entry.messages[:-window]
            self._measure(key, entry)
        entry.unseen = outcome.total - len(entry.messages)

    def _create(self, key: str, birth: str) -> Entry:
        created_ms = int(self._wall() * 1000)
        now = self._clock()
        entry = Entry(
            version=0,
            birth=birth,
            created_ms=created_ms,
            expires=now + self.rules.ttl_ms / 1000,
            dies=self._end_of_life(created_ms, now),
            fields={},
            messages=[],
        )
        self._entries[key] = entry
        self._grow(key, entry, ENTRY_OVERHEAD_BYTES)
        return entry

    def _write(self, key: str, entry: Entry, changes: Changes, collisions: list[str]) -> Outcome:
        rewritten = rewrite(entry, changes)
        first_seq = entry.next_seq
        entry.messages.extend(
            (first_seq + at, message) for at, message in enumerate(changes.appended)
        )
        entry.next_seq += len(changes.appended)
        if 0 < self.rules.max_messages < len(entry.messages):
            del entry.messages[: -self.rules.max_messages]
            rewritten = True
        entry.version += 1
        self._refresh(entry)
        outcome = Outcome(
            status="committed",
            version=entry.version,
            birth=entry.birth,
            created_ms=entry.created_ms,
            ttl_ms=self._remaining_ms(entry),
            total=entry.unseen + len(entry.messages),
            first_seq=first_seq,
            conflicts=collisions,
        )
        entry.commits.append((changes.commit_id, outcome))
        if rewritten:
            self._measure(key, entry)
        else:
            self._grow(
                key, entry, sum(ITEM_OVERHEAD_BYTES + len(item) for item in changes.appended)
            )
        return outcome

    def _find(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self.forget(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _end_of_life(self, created_ms: int, now: float) -> float:
        if not self.rules.lifetime_ms:
            return float("inf")
        return now + (created_ms + self.rules.lifetime_ms) / 1000 - self._wall()

    def _refresh(self, entry: Entry) -> None:
        entry.expires = min(self._clock() + self.rules.ttl_ms / 1000, entry.dies)

    def _remaining_ms(self, entry: Entry) -> int:
        return max(0, round((entry.expires - self._clock()) * 1000))

    def _measure(self, key: str, entry: Entry) -> None:
        self._grow(key, entry, measured(entry) - entry.size)

    def _grow(self, key: str, entry: Entry, by: int) -> None:
        if self._entries.get(key) is entry:  # it may have been evicted meanwhile
            entry.size += by
            self._resize(by)

    def _resize(self, by: int) -> None:
        self._bytes += by
        while len(self._entries) > self.max_entries or self._bytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size
