"""Conversations in this process's memory, by the same rules for commit, TTL and delete as Redis."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

from jv_session_mw.backends.bounded import Bounded
from jv_session_mw.backends.entry import (
    Entry,
    conflicts,
    entry_of,
    keep_last,
    lay_base,
    outcome_of,
    recall,
    remember,
    rests_on,
    rewrite,
    set_apart,
    size_of,
    snapshot_of,
    stretch_of,
)
from jv_session_mw.backends.tombstones import Tombstones
from jv_session_mw.changes import (
    DELETED,
    GONE,
    MISSING,
    Changes,
    Outcome,
    Rules,
    Snapshot,
)
from jv_session_mw.stretch import NO_MESSAGES, Stretch


class Memory:
    """Does on plain dictionaries what a `Backend` does, bounded by entries and bytes.

    Its methods have the names of the backend's. None awaits anything, so each is atomic among the
    tasks of one event loop. Expiry uses a monotonic clock; *wall* only dates the creation. New
    messages of a conversation that begins here, or moves here, are numbered from the next of
    *starts*, or from its own next number if that is higher.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        starts: Iterator[int] | None = None,
    ) -> None:
        self.rules = rules
        self._starts = repeat(1) if starts is None else starts
        self._clock = clock
        self._wall = wall
        self._entries = Bounded(max_entries, max_bytes, clock)
        self.tombstones = Tombstones(rules.ttl_ms / 1000, max_entries, clock)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        if key in self._entries.by_key and self._entries.find(key) is not None:
            return True
        return key in self.tombstones.until and self.is_deleted(key)

    @property
    def size(self) -> int:
        """The estimated bytes of all entries."""
        return self._entries.size

    def has(self, key: str) -> bool:
        """Say whether there is a conversation under *key*."""
        return self._entries.find(key) is not None

    def has_changed(self, key: str, seen: Snapshot) -> bool:
        """Say whether *key* holds another conversation or version than was *seen*."""
        return self.has(key) and self.version(key, seen.birth) != seen.version

    def came_with(self, key: str, outcome: Outcome) -> bool:
        """Return whether *key* already contained the commit of *outcome* when it moved here."""
        birth, version = ("", 0) if (entry := self._entries.find(key)) is None else entry.origin
        return outcome.birth == birth and outcome.version <= version

    def keys(self) -> list[str]:
        """Return the key of every conversation."""
        return self._entries.keys()

    def older(self, key: str, before: int, count: int) -> Stretch:
        """Return up to *count* messages from before the number *before*."""
        entry = self._entries.find(key)
        return NO_MESSAGES if entry is None else stretch_of(entry, before, count)

    def touch(self, key: str) -> int:
        """Refresh the TTL of *key* and return it in milliseconds; 0 if there is nothing."""
        entry = self._entries.find(key)
        return 0 if entry is None else self._refresh(entry)

    def is_deleted(self, key: str) -> bool:
        """Say whether a tombstone stands under *key*."""
        return key in self.tombstones

    def load(self, key: str, window: int) -> Snapshot:
        """Return what is kept under *key*; the bytes are shared, the containers are not."""
        if self.is_deleted(key):
            return DELETED
        entry = self._entries.find(key)
        if entry is None:
            return MISSING
        left = entry.expires - self._clock()
        return snapshot_of(entry, window, max(0, round(left * 1000)))

    def version(self, key: str, birth: str) -> int:
        """Return the version of what is kept under *key*; 0 if it is not of this *birth*."""
        held = self._entries.find(key)
        return 0 if held is None or held.birth != birth else held.version

    def keep(
        self,
        key: str,
        snapshot: Snapshot,
        at: float | None = None,
        commits: Sequence[tuple[str, Outcome]] = (),
    ) -> None:
        """Keep *snapshot* of the store in place of what is here, unless that is newer.

        It was loaded *at* that moment of the clock; None is now. *commits* are in it.
        """
        held = self._entries.find(key)
        if held is not None and held.birth == snapshot.birth:
            if held.version > snapshot.version:
                return
            commits = [*held.commits.items(), *commits]
        self.forget(key)
        self.tombstones.take_away(key)
        now = self._clock() if at is None else at
        expires, dies = now + snapshot.ttl_ms / 1000, self._end_of_life(snapshot.created_ms, now)
        entry = entry_of(snapshot, expires, dies)
        entry.commits.update(commits)
        self._entries.put(key, entry)

    def forget(self, key: str) -> None:
        """Drop what is kept under *key*, without a tombstone."""
        self._entries.forget(key)

    def forget_all(self, key: str) -> None:
        """Drop what is kept under *key*, and its tombstone."""
        self.forget(key)
        self.tombstones.take_away(key)

    def drop_oldest(self) -> bool:
        """Drop the least recently used conversation; say whether there was one."""
        return self._entries.drop_oldest()

    def delete(self, key: str) -> bool:
        """Drop *key*, leave a tombstone for one TTL, and say whether there was anything."""
        existed = self.has(key)
        self.forget(key)
        self.tombstones.set(key)
        return existed

    def commit(self, key: str, changes: Changes, birth: str = "") -> Outcome:
        """Apply a commit by the same rules as Redis does; what it creates gets *birth*."""
        if changes.revive:
            self.tombstones.take_away(key)
        elif self.is_deleted(key):
            return GONE
        entry = self._entries.find(key)
        if changes.base_version > 0 and (entry is None or not rests_on(entry, changes)):
            return GONE
        if entry is None:
            entry = self._create(key, birth or changes.commit_id)
            return self._write(key, entry, changes, [])
        if (done := recall(entry, changes)) is not None:
            return done
        collisions = conflicts(entry, changes)
        if collisions and self.rules.reject:
            return Outcome(status="conflict", version=entry.version, conflicts=collisions)
        return self._write(key, entry, changes, collisions)

    def admit(self, key: str, changes: Changes) -> None:
        """Create a conversation of which nothing is known but what *changes* rest on."""
        entry = self._create(key, changes.birth)
        entry.version = changes.base_version
        self._entries.grow(key, entry, lay_base(entry, changes))

    def move(self, key: str, other: "Memory", birth: str = "") -> bool:
        """Hand *key* to *other*, under a new *birth* if one is given; say whether it was here."""
        entry = self._entries.find(key)
        if entry is None:
            return False
        self.forget(key)
        set_apart(entry, birth, next(other._starts))
        other._entries.put(key, entry)
        return True

    def follow(self, key: str, changes: Changes, outcome: Outcome, window: int) -> None:
        """Do to the copy kept here what *changes* have done to the original, with *outcome*.

        No more than twice *window* messages stay, as the original has the others.
        """
        if changes.revive:
            self.tombstones.take_away(key)
        entry = self._entries.find(key)
        if entry is None or entry.birth != outcome.birth:
            self.forget(key)
            if changes.base_version > 0 or outcome.total > len(changes.appended):
                return
            entry = self._create(key, outcome.birth)
            entry.created_ms = outcome.created_ms
        entry.next_seq = outcome.first_seq
        entry.version = outcome.version - 1
        self._change(key, entry, changes)
        self._refresh(entry)
        remember(entry, changes, outcome)
        if len(entry.messages) > 2 * window > 0:
            self._entries.grow(key, entry, keep_last(entry, window))
        entry.unseen = outcome.total - len(entry.messages)

    def _create(self, key: str, birth: str) -> Entry:
        created_ms = int(self._wall() * 1000)
        now = self._clock()
        expires, dies = now + self.rules.ttl_ms / 1000, self._end_of_life(created_ms, now)
        entry = Entry(0, birth, created_ms, expires, dies, next_seq=next(self._starts))
        self._entries.put(key, entry)
        return entry

    def _write(self, key: str, entry: Entry, changes: Changes, collisions: list[str]) -> Outcome:
        first_seq = self._change(key, entry, changes)
        outcome = outcome_of(entry, self._refresh(entry), first_seq, collisions)
        remember(entry, changes, outcome)
        return outcome

    def _change(self, key: str, entry: Entry, changes: Changes) -> int:
        """Do to *entry* what *changes* say, and return the number of the first new message."""
        grown = rewrite(entry, changes) + size_of(changes.appended)
        first_seq = entry.next_seq
        entry.next_seq += len(changes.appended)
        entry.numbers += range(first_seq, entry.next_seq)
        entry.messages += changes.appended
        most = self.rules.max_messages
        if 0 < most < len(entry.messages):
            grown += keep_last(entry, most)
        entry.version += 1
        self._entries.grow(key, entry, grown)
        return first_seq

    def _end_of_life(self, created_ms: int, now: float) -> float:
        if not self.rules.lifetime_ms:
            return float("inf")
        return now + (created_ms + self.rules.lifetime_ms) / 1000 - self._wall()

    def _refresh(self, entry: Entry) -> int:
        """Refresh the TTL, and return it in milliseconds."""
        now = self._clock()
        left = min(self.rules.ttl_ms / 1000, entry.dies - now)
        entry.expires = now + left
        return max(0, round(left * 1000))
