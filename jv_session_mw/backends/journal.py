"""What was changed while the store was away, kept as changes, in the order in which it happened."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.changes import Changes, Outcome, Snapshot

OVERHEAD_BYTES = 300
FINISHED_KEPT = 10_000
NUMBERS_KEPT = 200_000


class Numbering(Struct):
    """How memory names a conversation since an outage, and how the store does.

    Memory goes on under a birth of its own, *here*, so that a commit tells which of both it rests
    on. A sequence number up to *shared* is the store's own, for all that is not memory's; *numbers*
    are those of what memory has given a number, *before* those of earlier outages. *seen* is the
    last one that the store had when memory took over.
    """

    here: str
    there: str
    seen: int
    numbers: dict[int, int] = {}
    before: dict[int, int] = {}
    shared: int = ELSEWHERE

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
        given = [*self.before.items(), *self.numbers.items()]
        cleared = [there for here, there in given if here <= changes.cleared]
        dropped = [
            there for here in changes.dropped if (there := self.number_there(here)) is not None
        ]
        return replace(
            changes,
            birth=self.there,
            replaced=replaced,
            dropped=dropped + cleared,
            cleared=changes.cleared if changes.cleared <= self.shared else self.seen,
        )

    def taken_in(self, changes: Changes) -> Changes:
        """Return *changes* in terms of memory, those that rest on the store or an earlier outage.

        What memory has from the store has the store's number there too.
        """
        if changes.birth not in (self.here, self.there):
            return changes
        if not changes.edits_log():
            return replace(changes, birth=self.here)
        ours = self.before
        if changes.birth == self.there:
            ours = {there: here for here, there in self.numbers.items()}
        return replace(
            changes,
            birth=self.here,
            replaced={ours.get(number, number): put for number, put in changes.replaced.items()},
            dropped=[ours.get(number, number) for number in changes.dropped],
        )

    def note(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Remember where the messages went that memory had given these *numbers*."""
        self.there = outcome.birth
        for at, number in enumerate(numbers):
            self.numbers[number] = outcome.first_seq + at

    def begin_anew(self) -> None:
        """Forget all numbers: the store has lost the conversation, and is given it once more."""
        self.seen = self.shared = 0
        self.numbers, self.before = {}, {}

    def number_there(self, here: int) -> int | None:
        given = self.numbers.get(here) or self.before.get(here)
        return here if given is None and here <= self.shared else given

    def __len__(self) -> int:
        return len(self.numbers) + len(self.before)


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

    def begin(self, key: str, held: Snapshot, here: str) -> Record:
        """Open the record of *key*, of which memory holds *held*, the last that the store had."""
        numbers = held.messages.numbers
        numbering = Numbering(here, held.birth, numbers[-1] if numbers else 0)
        earlier = self._of_births.get(held.birth)
        if earlier is not None:
            numbering.before = earlier.before | earlier.numbers
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
        numbering = record.numbering
        self._finished[numbering.here] = self._of_births[numbering.there] = numbering
        self._numbers_kept += len(numbering)
        while len(self._finished) > FINISHED_KEPT or self._numbers_kept > NUMBERS_KEPT:
            _, oldest = self._finished.popitem(last=False)
            self._numbers_kept -= len(oldest)
            if self._of_births.get(oldest.there) is oldest:
                del self._of_births[oldest.there]

    def translated(self, changes: Changes) -> Changes:
        """Return *changes* as the store knows them, where they rest on what memory had."""
        numbering = self._finished.get(changes.birth)
        if numbering is None:
            return changes
        self._finished.move_to_end(changes.birth)
        return numbering.translated(changes)

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
