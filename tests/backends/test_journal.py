"""The journal weighs what it holds, and stays within its bounds."""

import pytest

from jv_session_mw.backends import journal as journals
from jv_session_mw.backends.journal import Journal
from jv_session_mw.changes import Changes, Outcome, Snapshot

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
    oldest = journal.find("b")
    assert list(journal.overflow()) == [oldest]
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
        record.numbering.memory_birth = f"here {key}"
        record.numbering.note_replayed(
            range(1, 5), Outcome("committed", first_seq=11, birth="there")
        )
        journal.finish(key)
    late = [Changes("late", 1, birth=f"here {key}") for key in "abc"]
    births = [journal.for_store(changes).birth for changes in late]
    assert births == ["here a", "there", "there"]
