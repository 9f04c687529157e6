"""What only memory promises: bounds by entries and bytes, and copies of what is elsewhere."""

import pytest

from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import DELETED, MISSING, Changes, Outcome, Put, Rules, Snapshot
from jv_session_mw.stretch import Stretch
from tests.backends.harness import (
    KEY,
    TTL_MS,
    Clock,
    appends,
    commit_id,
    puts,
    sets,
    values,
)

RULES = Rules(TTL_MS)
ORIGINAL = Snapshot(
    version=7,
    created_ms=123,
    ttl_ms=30_000,
    total=12,
    fields={"a": b"1"},
    messages=Stretch([11, 14], [b"x", b"y"]),
)


def test_the_least_recently_used_goes_first() -> None:
    memory = Memory(RULES, max_entries=3)
    for key in ("a", "b", "c"):
        memory.commit(key, sets(x=b"1"))
    memory.load("a", 50)
    memory.commit("d", sets(x=b"1"))
    assert sorted(memory.keys()) == ["a", "c", "d"]
    assert memory.load("b", 50) == MISSING


def test_a_load_that_a_commit_has_overtaken_is_not_kept() -> None:
    memory = Memory(RULES)
    memory.keep(KEY, ORIGINAL)
    newer = Outcome("committed", version=8, created_ms=123, ttl_ms=30_000, total=13, first_seq=15)
    memory.follow(KEY, appends(7, b"z"), newer, 50)
    memory.keep(KEY, ORIGINAL)
    snapshot = memory.load(KEY, 50)
    assert (snapshot.version, values(snapshot)[-1]) == (8, b"z")


@pytest.mark.parametrize("way", ["load", "commit", "touch", "has"])
def test_every_use_counts(way: str) -> None:
    memory = Memory(RULES, max_entries=2)
    memory.commit("a", sets(x=b"1"))
    memory.commit("b", sets(x=b"1"))
    if way == "load":
        memory.load("a", 50)
    elif way == "commit":
        memory.commit("a", sets(1, y=b"1"))
    elif way == "touch":
        memory.touch("a")
    else:
        memory.has("a")
    memory.commit("c", sets(x=b"1"))
    assert sorted(memory.keys()) == ["a", "c"]


def test_listing_the_keys_is_no_use() -> None:
    memory = Memory(RULES, max_entries=2)
    memory.commit("a", sets(x=b"1"))
    memory.commit("b", sets(x=b"1"))
    memory.load("a", 50)
    memory.keys()
    memory.commit("c", sets(x=b"1"))
    assert sorted(memory.keys()) == ["a", "c"]


def test_memory_is_bounded_by_bytes() -> None:
    memory = Memory(RULES, max_bytes=100_000)
    for at in range(100):
        memory.commit(str(at), appends(0, b"x" * 10_000))
        assert memory.size <= 100_000
    assert 1 < len(memory) < 10
    assert values(memory.load("99", 50)) == [b"x" * 10_000]


def test_a_growing_conversation_pushes_others_out() -> None:
    memory = Memory(RULES, max_bytes=20_000)
    for key in ("a", "b"):
        memory.commit(key, sets(x=b"1"))
    for at in range(17):
        memory.commit("b", appends(at, b"x" * 1_000))
    assert memory.keys() == ["b"]


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    memory = Memory(RULES, max_bytes=5_000)
    memory.commit(KEY, appends(0, b"x" * 10_000))
    assert (len(memory), memory.size) == (0, 0)


def test_what_expires_gives_its_bytes_back() -> None:
    clock = Clock()
    memory = Memory(RULES, clock=clock)
    memory.commit(KEY, appends(0, b"x" * 1_000))
    clock.now += TTL_MS / 1000
    assert memory.load(KEY, 50) == MISSING
    assert (len(memory), memory.size) == (0, 0)


def test_tombstones_are_bounded_too() -> None:
    memory = Memory(RULES, max_entries=10)
    for at in range(100):
        memory.delete(str(at))
    assert sum(memory.is_deleted(str(at)) for at in range(100)) <= 10
    assert memory.is_deleted("99")


def test_a_snapshot_does_not_change_with_what_is_kept() -> None:
    memory = Memory(RULES)
    memory.commit(KEY, Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"]))
    before = memory.load(KEY, 50)
    memory.commit(KEY, puts(1, a=(b"1", b"2")))
    memory.commit(KEY, appends(2, b"ho"))
    assert (before.fields, values(before)) == ({"a": b"1"}, [b"hi"])


def test_a_copy_is_what_was_copied() -> None:
    clock = Clock()
    memory = Memory(RULES, clock=clock, wall=clock)
    memory.keep(KEY, ORIGINAL)
    assert memory.load(KEY, 50) == ORIGINAL
    clock.now += 30
    assert memory.load(KEY, 50) == MISSING


def test_a_copy_replaces_the_copy_before() -> None:
    memory = Memory(RULES)
    memory.keep(KEY, ORIGINAL)
    size = memory.size
    memory.keep(KEY, ORIGINAL)
    assert (len(memory), memory.size) == (1, size)


def test_a_copy_follows_its_original() -> None:
    memory = Memory(RULES)
    memory.keep(KEY, ORIGINAL)
    changes = Changes(
        commit_id(), 7, fields={"b": Put(b"2")}, removed={"a": b"1"}, appended=[b"z"], dropped=[11]
    )
    memory.follow(KEY, changes, Outcome("committed", 8, 123, TTL_MS, 12, 15), window=50)
    copy = memory.load(KEY, 50)
    assert (copy.version, copy.total, copy.created_ms) == (8, 12, 123)
    assert (copy.fields, list(copy.messages)) == ({"b": b"2"}, [(14, b"y"), (15, b"z")])


def test_a_copy_takes_the_versions_and_numbers_of_its_original() -> None:
    memory = Memory(RULES)
    memory.keep(KEY, ORIGINAL)
    outcome = Outcome(
        "committed", version=11, created_ms=123, ttl_ms=TTL_MS, total=20, first_seq=40
    )
    memory.follow(KEY, appends(7, b"z"), outcome, window=50)
    copy = memory.load(KEY, 50)
    assert (copy.version, copy.total, list(copy.messages)[-1]) == (11, 20, (40, b"z"))


def test_a_copy_keeps_about_a_window_of_messages() -> None:
    memory = Memory(RULES)
    memory.follow(KEY, appends(0, b"0"), Outcome("committed", 1, 5, TTL_MS, 1, 1), window=10)
    for at in range(1, 100):
        outcome = Outcome("committed", at + 1, 5, TTL_MS, at + 1, at + 1)
        memory.follow(KEY, appends(at, b"%d" % at), outcome, window=10)
    copy = memory.load(KEY, 0)
    assert 10 <= len(copy.messages) <= 20
    assert (copy.total, list(copy.messages)[-1]) == (100, (100, b"99"))


def test_what_is_not_copied_is_not_followed() -> None:
    memory = Memory(RULES)
    memory.follow(KEY, appends(4, b"z"), Outcome("committed", 5, 5, TTL_MS, 9, 9), window=50)
    memory.follow(KEY, appends(0, b"z"), Outcome("committed", 2, 5, TTL_MS, 9, 9), window=50)
    assert memory.load(KEY, 50) == MISSING


def test_a_copy_of_what_is_deleted_says_so_until_it_is_there_again() -> None:
    memory = Memory(RULES)
    memory.keep(KEY, ORIGINAL)
    memory.delete(KEY)
    assert memory.load(KEY, 50) == DELETED
    memory.keep(KEY, ORIGINAL)
    assert memory.load(KEY, 50).version == 7


def test_a_move_hands_everything_over() -> None:
    copies, kept = Memory(RULES), Memory(RULES)
    copies.keep(KEY, ORIGINAL)
    size = copies.size
    assert copies.move(KEY, kept)
    assert not copies.move(KEY, kept)
    assert (len(copies), copies.size, len(kept), kept.size) == (0, 0, 1, size)
    assert list(kept.load(KEY, 50).messages) == list(ORIGINAL.messages)


def test_commits_of_long_ago_are_not_hoarded() -> None:
    memory = Memory(RULES)
    first = appends(0, b"x")
    memory.commit(KEY, first)
    for _ in range(20):
        memory.commit(KEY, appends(0, b"x"))
    assert (memory.commit(KEY, first)).version == 22


def test_what_was_admitted_goes_on_from_its_version() -> None:
    memory = Memory(RULES)
    memory.admit(KEY, appends(41))
    assert (memory.commit(KEY, appends(41, b"hi"))).version == 42


class Weighed(bytes):
    """A message that counts how often one of its kind is weighed."""

    times = 0

    def __len__(self) -> int:
        Weighed.times += 1
        return super().__len__()


def test_an_edit_weighs_only_what_it_touches() -> None:
    memory = Memory(RULES)
    memory.commit("a", appends(0, *(Weighed(b"%d" % at) for at in range(1_000))))
    edit = Changes(commit_id(), 1, replaced={1_000: Put(b"new"), 10: Put(b"new")})
    edit.dropped = [998]
    Weighed.times = 0
    memory.commit("a", edit)
    assert Weighed.times <= 3
    memory.commit("a", Changes(commit_id(), 2, cleared=9))
    assert Weighed.times <= 3 + 9
    left = [b"new", *(b"%d" % at for at in range(10, 999) if at != 997), b"new"]
    assert list(memory.load("a", 0).messages.values) == left
    size = memory.size
    memory.keep("a", memory.load("a", 0))
    assert memory.size == size
