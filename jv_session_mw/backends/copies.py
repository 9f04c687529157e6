"""What this process saw last of the conversations that it served, for when their store is away."""

import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct, field
from msgspec.structs import replace

from jv_session_mw.backends.entry import weight
from jv_session_mw.backends.memory import MemoryBackend
from jv_session_mw.changes import Changes, Outcome, Rules, Snapshot

COMMITS_AT_ONCE = 8


class Sight(Struct):
    """A conversation as it was loaded at a moment of the clock, and the commits after that."""

    at: float
    snapshot: Snapshot
    size: int
    version: int
    commits: list[tuple[float, Changes, Outcome]] = field(
        default_factory=list[tuple[float, Changes, Outcome]]
    )


class Copies:
    """Notes what is loaded and committed elsewhere, and makes a memory of it only when asked.

    There is a load with every request, but hardly ever an outage: to note it is to keep what it
    returned. The bounds are for what was noted and that memory together; the memory, a leftover
    of the last outage, is the first to go.
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
        self._window = window
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._memory = MemoryBackend(
            rules, max_entries=max_entries, max_bytes=max_bytes, clock=clock
        )
        self._seen: OrderedDict[str, Sight] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._seen) + len(self._memory)

    @property
    def size(self) -> int:
        """The bytes that all this takes, by estimate."""
        return self._bytes + self._memory.size

    def loaded(self, key: str, snapshot: Snapshot) -> None:
        """Note what a load found, unless a commit that is known here has overtaken it."""
        seen = self._seen.get(key)
        if not snapshot.version:
            self._absent(key, snapshot)
        elif seen is None:
            if not self._memory.overtakes(key, snapshot):
                self._memory.forget(key)
                self._note(key, snapshot)
        elif seen.snapshot.birth != snapshot.birth or seen.version <= snapshot.version:
            self._bytes -= seen.size
            self._note(key, snapshot)

    def committed(self, key: str, changes: Changes, outcome: Outcome) -> None:
        """Note what a commit did to the original."""
        seen = self._seen.get(key)
        if seen is None or changes.revive:
            self.memory(key).follow(key, changes, outcome, self._window)
            self._trim()
            return
        seen.commits.append((self._clock(), changes, outcome))
        seen.version = outcome.version
        added = sum(map(len, changes.appended)) + sum(
            len(put.value) for put in changes.fields.values()
        )
        seen.size += added
        self._bytes += added
        if len(seen.commits) >= COMMITS_AT_ONCE:
            self.memory(key)
        self._trim()

    def memory(self, key: str) -> MemoryBackend:
        """Return the memory, with all in it that was noted of *key*."""
        seen = self._seen.pop(key, None)
        if seen is None:
            return self._memory
        self._bytes -= seen.size
        at, snapshot = seen.at, seen.snapshot
        if seen.commits:  # which have kept it alive beyond what the load said
            at, _, last = seen.commits[-1]
            snapshot = replace(snapshot, ttl_ms=last.ttl_ms)
        self._memory.keep(key, snapshot, at)
        for at, changes, outcome in seen.commits:
            self._memory.follow(key, changes, outcome, self._window, at)
        while self._is_full and self._seen:  # the memory is wanted now
            self._drop_oldest_sight()
        return self._memory

    def whole(self) -> MemoryBackend:
        """Return the memory, with all in it that was noted."""
        for key in list(self._seen):
            self.memory(key)
        return self._memory

    def forget(self, key: str) -> None:
        """Drop what is known of *key*, without a tombstone."""
        self.memory(key).forget(key)

    def _absent(self, key: str, snapshot: Snapshot) -> None:
        memory = self.memory(key)
        if snapshot.deleted:
            memory.bury(key)
        else:
            memory.forget(key)

    def _note(self, key: str, snapshot: Snapshot) -> None:
        sight = Sight(self._clock(), snapshot, weight(snapshot), snapshot.version)
        self._seen[key] = sight
        self._seen.move_to_end(key)
        self._bytes += sight.size
        self._trim()

    @property
    def _is_full(self) -> bool:
        return len(self) > self._max_entries or self.size > self._max_bytes

    def _trim(self) -> None:
        while self._is_full:
            if not self._memory.drop_oldest():
                self._drop_oldest_sight()

    def _drop_oldest_sight(self) -> None:
        _, oldest = self._seen.popitem(last=False)
        self._bytes -= oldest.size
