"""The journal weighs what it holds, stays within its bounds, and translates what outlives it."""

import pytest

from jv_session_mw.backends import journal as journals
from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.backends.journal import Journal, Numbering
from jv_session_mw.changes import Changes, Outcome, Put, Snapshot

MANY = 10**9


def written(journal: Journal, key: str, *messages: bytes, first: int = 1) -> None:
    record = journal.find(key) or journal.begin(key, Snapshot(), "here")
    changes = Changes(f"{key}{first}", 1, appended=list(messages), birth="here")
    journal.add(key, record, changes, Outcome("committed", first_seq=first, birth="here"))


def test_what_is_taken_out_weighs_no_more() -> None:
    journal = Journal(MANY, MANY)
    for at in range(3):
        written(journal, "a", b"x" * 1000, first=at + 1)
    written(journal, "b", b"y")
    assert journal.size > 3000
    record = journal.find("a")
    assert record is not None
    journal.take(record)
    journal.clear(record)
    journal.finish("a")
    journal.finish("b")
    assert (journal.size, len(journal)) == (0, 0)


@pytest.mark.parametrize("bounds", [(2, MANY), (MANY, 4_400)], ids=["entries", "bytes"])
def test_the_least_recently_used_goes_first(bounds: tuple[int, int]) -> None:
    journal = Journal(*bounds)
    for key in ("a", "b", "a", "c"):
        written(journal, key, b"x" * 500)
    assert [key for key, _ in journal.overflow()] == ["b"]
    assert sorted(journal.keys()) == ["a", "c"]


def test_numbers_of_finished_records_are_kept_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journals, "NUMBERS_KEPT", 10)
    journal = Journal(MANY, MANY)
    for key in ("a", "b", "c"):
        written(journal, key, *[b"x"] * 4)
        record = journal.find(key)
        assert record is not None
        record.numbering.here = f"here {key}"
        record.numbering.note(range(1, 5), Outcome("committed", first_seq=11, birth="there"))
        journal.finish(key)
    late = [Changes("late", 1, birth=f"here {key}") for key in "abc"]
    births = [journal.translated(changes).birth for changes in late]
    assert births == ["here a", "there", "there"]


def test_a_commit_is_translated_number_by_number() -> None:
    ours = ELSEWHERE
    numbering = Numbering("here", "there", 2, {ours + 3: 13, ours + 5: 15}, {ours + 1: 11})
    puts = {number: Put(b"new") for number in (1, ours + 1, ours + 3, ours + 4)}
    dropped = [2, ours + 5, ours + 6]
    changes = Changes("id", 1, birth="here", replaced=puts, dropped=dropped, cleared=ours + 4)
    there = numbering.translated(changes)
    assert there.birth == "there"
    assert list(there.replaced) == [1, 11, 13]
    assert sorted(there.dropped) == [2, 11, 13, 15]
    assert there.cleared == 2
    changes.cleared = 7  # a number of the store: of what came to it after the outage
    assert numbering.translated(changes).cleared == 7


def test_a_commit_is_taken_in_number_by_number() -> None:
    ours = ELSEWHERE
    numbering = Numbering("here", "there", 2, {ours + 3: 13}, {ours + 1: 2})
    stored = Changes("id", 1, birth="there", replaced={13: Put(b"new")}, dropped=[1, 2])
    here = numbering.taken_in(stored)
    assert (here.birth, list(here.replaced), here.dropped) == ("here", [ours + 3], [1, 2])
    kept = Changes("id", 1, birth="here", replaced={ours + 3: Put(b"new")}, dropped=[ours + 1])
    here = numbering.taken_in(kept)
    assert (here.birth, list(here.replaced), here.dropped) == ("here", [ours + 3], [2])
    foreign = Changes("id", 1, birth="another", dropped=[13])
    assert numbering.taken_in(foreign) is foreign


@pytest.mark.parametrize("changes", [Changes("id", 0), Changes("id", 1, birth="another")])
def test_what_does_not_rest_on_memory_stays_as_it_is(changes: Changes) -> None:
    assert Numbering("here", "there", 0).translated(changes) is changes
