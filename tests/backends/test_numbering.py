"""A commit meets the messages that were meant, whichever of the two has numbered them."""

import pytest

from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.backends.numbering import Numbering
from jv_session_mw.changes import Changes, Put


def test_a_commit_to_memory_is_renumbered_for_the_store() -> None:
    ours = ELSEWHERE
    numbering = Numbering("here", "there", 2, {ours + 3: 13, ours + 5: 15}, {ours + 1: 11})
    puts = {number: Put(b"new") for number in (1, ours + 1, ours + 3, ours + 4)}
    dropped = [2, ours + 5, ours + 6]
    changes = Changes("id", 1, birth="here", replaced=puts, dropped=dropped, cleared=ours + 4)
    there = numbering.for_store(changes)
    assert there.birth == "there"
    assert list(there.replaced) == [1, 11, 13]
    assert sorted(there.dropped) == [2, 11, 13, 15]
    assert there.cleared == 2
    changes.cleared = 7  # a number of the store: of what came to it after the outage
    assert numbering.for_store(changes).cleared == 7


def test_a_commit_to_the_store_is_renumbered_for_memory() -> None:
    ours = ELSEWHERE
    numbering = Numbering("here", "there", 2, {ours + 3: 13}, {ours + 1: 2})
    stored = Changes("id", 1, birth="there", replaced={13: Put(b"new")}, dropped=[1, 2])
    here = numbering.for_memory(stored)
    assert (here.birth, list(here.replaced), here.dropped) == ("here", [ours + 3], [1, 2])
    kept = Changes("id", 1, birth="here", replaced={ours + 3: Put(b"new")}, dropped=[ours + 1])
    here = numbering.for_memory(kept)
    assert (here.birth, list(here.replaced), here.dropped) == ("here", [ours + 3], [2])
    foreign = Changes("id", 1, birth="another", dropped=[13])
    assert numbering.for_memory(foreign) is foreign


@pytest.mark.parametrize("changes", [Changes("id", 0), Changes("id", 1, birth="another")])
def test_what_does_not_rest_on_memory_stays_as_it_is(changes: Changes) -> None:
    assert Numbering("here", "there", 0).for_store(changes) is changes
