"""Which numbers of memory and of the store belong to the same messages of a replayed outage."""

from collections.abc import Sequence

from msgspec import Struct

from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.changes import Changes, Outcome


class Numbering(Struct):
    """The births and sequence numbers of one conversation in memory and in the store.

    Memory continues a conversation under a birth of its own, so that each commit shows which of
    the two it rests on. Messages that memory had from the store keep their numbers, which are at
    most `shared`. `replayed` maps the numbers that memory gave to those that the store gave when
    the messages were replayed; `earlier` does the same for earlier outages. `last_seen` is the
    newest number of the store that was known when memory took over.
    """

    memory_birth: str
    store_birth: str
    last_seen: int
    replayed: dict[int, int] = {}
    earlier: dict[int, int] = {}
    shared: int = ELSEWHERE

    def for_store(self, changes: Changes) -> Changes:
        """Return *changes* in the store's numbers, if they rest on memory."""
        if changes.birth != self.memory_birth or not changes.base_version:
            return changes
        there = changes.resting_on(self.store_birth)
        if not changes.edits_log():
            return there
        there.replaced = {
            number: put
            for ours, put in changes.replaced.items()
            if (number := self.store_number(ours)) is not None
        }
        dropped = [
            number for ours in changes.dropped if (number := self.store_number(ours)) is not None
        ]
        # A clear removes what its author saw; what others have appended since stays.
        known = [*self.earlier.items(), *self.replayed.items()]
        cleared = [number for ours, number in known if ours <= changes.cleared]
        there.dropped = dropped + cleared
        there.cleared = changes.cleared if changes.cleared <= self.shared else self.last_seen
        return there

    def for_memory(self, changes: Changes) -> Changes:
        """Return *changes* in memory's numbers, if they rest on the store or an earlier outage."""
        if changes.birth not in (self.memory_birth, self.store_birth):
            return changes
        here = changes.resting_on(self.memory_birth)
        if not changes.edits_log():
            return here
        ours = self.earlier
        if changes.birth == self.store_birth:
            ours = {number: given for given, number in self.replayed.items()}
        here.replaced = {ours.get(number, number): put for number, put in changes.replaced.items()}
        here.dropped = [ours.get(number, number) for number in changes.dropped]
        return here

    def store_number(self, ours: int) -> int | None:
        """Return the store's number of a message; None while the store does not have it."""
        given = self.replayed.get(ours) or self.earlier.get(ours)
        return ours if given is None and ours <= self.shared else given

    def note_replayed(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Note which numbers the store gave to the messages that had *numbers* in memory."""
        self.store_birth = outcome.birth
        for at, number in enumerate(numbers):
            self.replayed[number] = outcome.first_seq + at

    def begin_anew(self) -> None:
        """Forget all numbers: the store has lost the conversation, and gets it once more."""
        self.last_seen = self.shared = 0
        self.replayed, self.earlier = {}, {}

    def __len__(self) -> int:
        return len(self.replayed) + len(self.earlier)
