"""The commits that memory took while the store was away, in their order."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence

from msgspec import Struct

from jv_session_mw.backends.numbering import Numbering
from jv_session_mw.changes import Changes, Outcome, Snapshot

OVERHEAD_BYTES = 300
FINISHED_KEPT = 10_000
NUMBERS_KEPT = 200_000


class JournaledCommit(Struct):
    """One commit that memory took, and the numbers that memory gave to its messages.

    The numbering is the one that its record had then: memory may have forgotten the conversation
    since, and begun another one under the same key.
    """

    changes: Changes
    numbers: Sequence[int]
    numbering: Numbering
    size: int


class Record(Struct):
    """The journal of one conversation; when it is `deleted`, only what came after that is kept."""

    numbering: Numbering
    commits: deque[JournaledCommit]
    deleted: bool = False
    size: int = OVERHEAD_BYTES


class Journal:
    """The records of all conversations, bounded in number and bytes.

    `overflow` drops what does not fit, the least recently used first: it stays in memory, but is
    never replayed. The numbering of a finished record is kept for a while, under its birth in
    memory, for requests that began before the record was finished.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._finished: OrderedDict[str, Numbering] = OrderedDict()
        self._of_births: dict[str, Numbering] = {}  # the last of those, by the store's birth
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._numbers_kept = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def keys(self) -> list[str]:
        return list(self._records)

    def find(self, key: str) -> Record | None:
        return self._records.get(key)

    def begin(self, key: str, held: Snapshot, birth: str) -> Record:
        """Open the record of *key*: *held* is what the store had, *birth* the one in memory."""
        numbers = held.messages.numbers
        numbering = Numbering(birth, held.birth, numbers[-1] if numbers else 0)
        earlier = self._of_births.get(held.birth)
        if earlier is not None:
            numbering.earlier = earlier.earlier | earlier.replayed
        record = self._records[key] = Record(numbering, deque())
        self.size += record.size
        return record

    def add(self, key: str, record: Record, changes: Changes, outcome: Outcome) -> None:
        """Add *changes*, which memory took with *outcome*."""
        first = outcome.first_seq
        numbers = range(first, first + len(changes.appended))
        if changes.fence:  # the turns of an outage join what other processes stored meanwhile
            changes = changes.without_fence()
        commit = JournaledCommit(changes, numbers, record.numbering, _weight(changes))
        record.commits.append(commit)
        self._records.move_to_end(key)
        self._grow(record, commit.size)

    def put_first(
        self, record: Record, changes: Changes, numbers: Sequence[int], numbering: Numbering
    ) -> None:
        """Put *changes* before all other commits."""
        commit = JournaledCommit(changes, numbers, numbering, _weight(changes))
        record.commits.appendleft(commit)
        self._grow(record, commit.size)

    def take(self, record: Record) -> None:
        """Remove the oldest commit."""
        self._grow(record, -record.commits.popleft().size)

    def clear(self, record: Record) -> None:
        while record.commits:
            self.take(record)

    def finish(self, key: str) -> None:
        """Close the record of *key*, and keep its numbering for a while."""
        record = self._records.pop(key)
        self.size -= record.size
        if not record.numbering.memory_birth:  # it held only a delete
            return
        numbering = record.numbering
        self._finished[numbering.memory_birth] = self._of_births[numbering.store_birth] = numbering
        self._numbers_kept += len(numbering)
        while len(self._finished) > FINISHED_KEPT or self._numbers_kept > NUMBERS_KEPT:
            _, oldest = self._finished.popitem(last=False)
            self._numbers_kept -= len(oldest)
            if self._of_births.get(oldest.store_birth) is oldest:
                del self._of_births[oldest.store_birth]

    def for_store(self, changes: Changes) -> Changes:
        """Return *changes* in the store's numbers if they rest on a finished record, else as is."""
        numbering = self._finished.get(changes.birth)
        if numbering is None:
            return changes
        self._finished.move_to_end(changes.birth)
        return numbering.for_store(changes)

    def overflow(self) -> Iterator[Record]:
        """Drop what does not fit, and yield it."""
        while self._records and (
            len(self._records) > self._max_entries or self.size > self._max_bytes
        ):
            _, record = self._records.popitem(last=False)
            self.size -= record.size
            yield record

    def _grow(self, record: Record, by: int) -> None:
        record.size += by
        self.size += by


def _weight(changes: Changes) -> int:
    puts = [*changes.fields.values(), *changes.replaced.values()]
    size = OVERHEAD_BYTES + sum(len(put.value) + len(put.base or b"") for put in puts)
    size += sum(map(len, changes.fields)) + sum(map(len, changes.appended))
    return size + OVERHEAD_BYTES * (len(puts) + len(changes.appended)) // 3
