"""Copies of the conversations that this process served lately, for when their store is away."""

import time
from collections import OrderedDict
from collections.abc import Callable

from jv_session_mw.backends.entry import REMEMBERED_COMMITS, weight
from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import MISSING, Changes, Outcome, Rules, Snapshot
from jv_session_mw.succession import last_outcome, snapshot_after, snapshot_with


class Sight:
    """A conversation as it was seen *at* a moment of the clock, and its last known commits."""

    __slots__ = ("at", "commits", "size", "snapshot")

    def __init__(
        self, at: float, snapshot: Snapshot, size: int, commits: list[tuple[str, Outcome]]
    ) -> None:
        self.at = at
        self.snapshot = snapshot
        self.size = size
        self.commits = commits


class Copies:
    """Keeps what was loaded and committed, and puts it into a `Memory` only when that is needed.

    Every request loads, but outages are rare. So a load only keeps the snapshot, and the next load
    need not be sent the messages that are in it. The bounds apply to snapshots and memory together;
    the memory, which is left over from the last outage, is dropped first.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        window: int,
        max_entries: int,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.window = window
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._memory = Memory(rules, max_entries=max_entries, max_bytes=max_bytes, clock=clock)
        self._seen: OrderedDict[str, Sight] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._seen) + len(self._memory)

    @property
    def size(self) -> int:
        """The estimated bytes of snapshots and memory."""
        return self._bytes + self._memory.size

    def last(self, key: str, default: Snapshot) -> Snapshot:
        """Return the snapshot of *key* as it was seen last, else *default*."""
        seen = self._seen.get(key)
        return default if seen is None else seen.snapshot

    def loaded(self, key: str, snapshot: Snapshot, before: Snapshot = MISSING) -> None:
        """Note what a load found, unless a commit that is known here has overtaken it.

        *before* is what was held when the load was sent. If that is still held, no commit has come
        between, and an older version means that a failover has lost the newer one.
        """
        seen, version = self._seen.get(key), snapshot.version
        if not version:
            self._absent(key, snapshot)
            return
        if seen is None:
            if self._memory.version(key, snapshot.birth) <= version:
                self._memory.forget(key)
                self._note(key, snapshot, [])
            return
        held = seen.snapshot
        if held.birth != snapshot.birth or (held is before and held.version > version):
            self._renew(key, seen, snapshot, [])
        elif held.version < version:
            self._renew(key, seen, snapshot, _commits_in(seen))
        elif held.version == version:
            # The same version has the same size, unless it was loaded with another window.
            if len(held.messages.values) != len(snapshot.messages.values):
                self._renew(key, seen, snapshot, seen.commits)
                return
            self._seen.move_to_end(key)
            seen.at, seen.snapshot = self._clock(), snapshot

    def committed(self, key: str, changes: Changes, outcome: Outcome) -> None:
        """Note what a commit did to the original."""
        seen = self._seen.get(key)
        held = MISSING if seen is None else seen.snapshot
        if seen is not None and held.birth == outcome.birth and held.version >= outcome.version:
            seen.commits = _with(seen.commits, changes, outcome)  # a load has found it already
            return
        now = snapshot_after(held, changes, outcome, self.window)
        if now is None:
            self._follow(key, changes, outcome)
        elif seen is None:
            self._memory.forget(key)
            self._note(key, now, [(changes.commit_id, outcome)])
        else:
            self._renew(key, seen, now, _with(_commits_in(seen), changes, outcome))

    def memory(self, key: str) -> Memory:
        """Return the memory, after putting into it what was noted of *key*."""
        seen = self._seen.pop(key, None)
        if seen is None:
            return self._memory
        self._bytes -= seen.size
        self._memory.keep(key, seen.snapshot, seen.at, _commits_in(seen))
        while self._is_full and self._seen:  # not `_trim`: the memory is needed now
            self._drop_oldest_sight()
        return self._memory

    def whole(self) -> Memory:
        """Return the memory, after putting into it all that was noted."""
        for key in list(self._seen):
            self.memory(key)
        return self._memory

    def deleted_until(self, key: str) -> float | None:
        """Return when the tombstone of *key* ends, if there is one: a later one ends later."""
        return self._memory.tombstones.until.get(key)

    def forget(self, key: str) -> None:
        """Drop what is known of *key*, without a tombstone."""
        self.memory(key).forget(key)

    def _follow(self, key: str, changes: Changes, outcome: Outcome) -> None:
        memory = self.memory(key)
        if memory.version(key, outcome.birth) < outcome.version:
            memory.follow(key, changes, outcome, self.window)
        elif (whole := snapshot_with(memory.load(key, 0), changes, outcome)) is not None:
            memory.keep(key, whole)
        else:
            memory.forget(key)
        self._trim()

    def _absent(self, key: str, snapshot: Snapshot) -> None:
        memory = self.memory(key)
        if snapshot.deleted:
            memory.delete(key)
        else:
            memory.forget(key)

    def _note(self, key: str, snapshot: Snapshot, commits: list[tuple[str, Outcome]]) -> None:
        seen = self._seen[key] = Sight(self._clock(), snapshot, weight(snapshot), commits)
        self._bytes += seen.size
        self._trim()

    def _renew(
        self, key: str, seen: Sight, snapshot: Snapshot, commits: list[tuple[str, Outcome]]
    ) -> None:
        self._seen.move_to_end(key)
        size = weight(snapshot)
        self._bytes += size - seen.size
        seen.at, seen.snapshot, seen.size, seen.commits = self._clock(), snapshot, size, commits
        self._trim()

    @property
    def _is_full(self) -> bool:
        if self._bytes + self._memory.size > self._max_bytes:
            return True
        return len(self._seen) + len(self._memory) > self._max_entries

    def _trim(self) -> None:
        while self._is_full:
            if not self._memory.drop_oldest():
                self._drop_oldest_sight()

    def _drop_oldest_sight(self) -> None:
        _, oldest = self._seen.popitem(last=False)
        self._bytes -= oldest.size


def _commits_in(seen: Sight) -> list[tuple[str, Outcome]]:
    """Return the last commits that are known to be in what was seen, whoever made them."""
    commits, snapshot = seen.commits, seen.snapshot
    if not snapshot.commit_id or (commits and commits[-1][0] == snapshot.commit_id):
        return commits
    return [*commits[1 - REMEMBERED_COMMITS :], (snapshot.commit_id, last_outcome(snapshot))]


def _with(
    commits: list[tuple[str, Outcome]], changes: Changes, outcome: Outcome
) -> list[tuple[str, Outcome]]:
    return [*commits[1 - REMEMBERED_COMMITS :], (changes.commit_id, outcome)]
