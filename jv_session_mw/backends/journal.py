"""What was changed while the store was away, kept as changes, in the order in which it happened."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from jv_session_mw.changes import Changes, Outcome, Snapshot

OVERHEAD_BYTES = 300
FINISHED_KEPT = 10_000
NUMBERS_KEPT = 200_000


class Numbering(Struct):
    """How memory names a conversation since an outage, and how the store does.

    Memory goes on under a birth of its own, *here*, so that a commit tells which of both it rests
    on. Up to *shared* the sequence numbers are the same; *numbers* are those of later messages.
    """

    here: str
    there: str
    shared: int
    numbers: dict[int, int] = {}

    def translated(self, changes: Changes) -> Changes:
        """Return *changes* in terms of the store, those that rest on memory."""
        if changes.birth != self.here or not changes.base_version:
            return changes
        if not changes.edits_log():
            return replace(changes, birth=self.there)
        replaced = {
            there: put
            for here, put in changes.replaced.items()
            if (there := self.number_there(here)) is not None
        }
        # A clear is of what was seen: who else has appended meanwhile keeps that.
        cleared = [there for here, there in self.numbers.items() if here <= changes.cleared]
        dropped = [
            there for here in changes.dropped if (there := self.number_there(here)) is not None
        ]
        return replace(
            changes,
            birth=self.there,
            replaced=replaced,
            dropped=dropped + cleared,
            cleared=min(changes.cleared, self.shared),
        )

    def note(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Remember where the messages went that memory had given these *numbers*."""
        self.there = outcome.birth
        for at, number in enumerate(numbers):
            self.numbers[number] = outcome.first_seq + at

    def number_there(self, here: int) -> int | None:
        return here if here <= self.shared else self.numbers.get(here)


class Entry(Struct):
    """One commit that memory took: what it was, and the numbers of its messages there.

    Its numbering is that of the record when it was written: memory may since have forgotten the
    conversation, and begun another one under the same key.
    """

    changes: Changes
    numbers: Sequence[int]
    numbering: Numbering
    size: int


class Record(Struct):
    """The journal of one conversation; a delete ends what came before it."""

    numbering: Numbering
    entries: deque[Entry]
    deleted: bool = False
    size: int = OVERHEAD_BYTES


class Journal:
    """The records of all conversations, bounded by their number and bytes.

    What does not fit is handed back by `overflow`, least recently used first: it stays in memory,
    but nothing of it will be replayed. Of a finished record the numbering stays a while, by its
    birth in memory, for the requests that began before its end.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._finished: OrderedDict[str, Numbering] = OrderedDict()
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

    def begin(self, key: str, held: Snapshot, here: str) -> Record:
        """Open the record of *key*, of which memory holds *held*, the last that the store had."""
        numbers = held.messages.numbers
        numbering = Numbering(here, held.birth, numbers[-1] if numbers else 0)
        record = self._records[key] = Record(numbering, deque())
        self.size += record.size
        return record

    def add(self, key: str, record: Record, changes: Changes, outcome: Outcome) -> None:
        """Write down *changes*, which memory took with *outcome*."""
        first = outcome.first_seq
        numbers = range(first, first + len(changes.appended))
        entry = Entry(changes, numbers, record.numbering, _weight(changes))
        record.entries.append(entry)
        self._records.move_to_end(key)
        self._grow(record, entry.size)

    def put_first(
        self, record: Record, changes: Changes, numbers: Sequence[int], numbering: Numbering
    ) -> None:
        """Let *changes* be the oldest entry."""
        entry = Entry(changes, numbers, numbering, _weight(changes))
        record.entries.appendleft(entry)
        self._grow(record, entry.size)

    def take(self, record: Record) -> None:
        """Strike the oldest entry out."""
        self._grow(record, -record.entries.popleft().size)

    def clear(self, record: Record) -> None:
        while record.entries:
            self.take(record)

    def finish(self, key: str) -> None:
        """Close the record of *key*."""
        record = self._records.pop(key)
        self.size -= record.size
        if not record.numbering.here:  # only a delete was written down
            return
        self._finished[record.numbering.here] = record.numbering
        self._numbers_kept += len(record.numbering.numbers)
        while len(self._finished) > FINISHED_KEPT or self._numbers_kept > NUMBERS_KEPT:
            _, oldest = self._finished.popitem(last=False)
            self._numbers_kept -= len(oldest.numbers)

    def translated(self, changes: Changes) -> Changes:
        """Return *changes* as the store knows them, where they rest on what memory had."""
        numbering = self._finished.get(changes.birth)
        return changes if numbering is None else numbering.translated(changes)

    def overflow(self) -> Iterator[tuple[str, Record]]:
        """Drop, and hand back, what is too much."""
        while self._records and (
            len(self._records) > self._max_entries or self.size > self._max_bytes
        ):
            key, record = self._records.popitem(last=False)
            self.size -= record.size
            yield key, record

    def _grow(self, record: Record, by: int) -> None:
        record.size += by
        self.size += by


def _weight(changes: Changes) -> int:
    puts = [*changes.fields.values(), *changes.replaced.values()]
    size = OVERHEAD_BYTES + sum(len(put.value) + len(put.base or b"") for put in puts)
    size += sum(map(len, changes.fields)) + sum(map(len, changes.appended))
    return size + OVERHEAD_BYTES * (len(puts) + len(changes.appended)) // 3
