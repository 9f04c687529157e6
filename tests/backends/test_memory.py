"""What only memory promises: bounds by entries and bytes, and copies of what is elsewhere."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jv_session_mw.backends.entry import weight
from jv_session_mw.backends.memory import MemoryBackend
from jv_session_mw.changes import DELETED, MISSING, Changes, Outcome, Put, Rules, Snapshot, Stretch
from tests.backends.harness import (
    KEY,
    TIMEOUT,
    TTL_MS,
    Clock,
    appends,
    commit,
    commit_id,
    load,
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


async def test_the_least_recently_used_goes_first() -> None:
    memory = MemoryBackend(RULES, max_entries=3)
    for key in ("a", "b", "c"):
        await commit(memory, sets(x=b"1"), key)
    await load(memory, key="a")
    await commit(memory, sets(x=b"1"), "d")
    assert sorted(await memory.keys(TIMEOUT)) == ["a", "c", "d"]
    assert await load(memory, key="b") == MISSING


async def test_a_load_that_a_commit_has_overtaken_is_not_kept() -> None:
    memory = MemoryBackend(RULES)
    memory.keep(KEY, ORIGINAL)
    newer = Outcome("committed", version=8, created_ms=123, ttl_ms=30_000, total=13, first_seq=15)
    memory.follow(KEY, appends(7, b"z"), newer, 50)
    memory.keep(KEY, ORIGINAL)
    snapshot = await load(memory)
    assert (snapshot.version, values(snapshot)[-1]) == (8, b"z")


@pytest.mark.parametrize("way", ["load", "commit", "touch", "has"])
async def test_every_use_counts(way: str) -> None:
    memory = MemoryBackend(RULES, max_entries=2)
    await commit(memory, sets(x=b"1"), "a")
    await commit(memory, sets(x=b"1"), "b")
    if way == "load":
        await load(memory, key="a")
    elif way == "commit":
        await commit(memory, sets(1, y=b"1"), "a")
    elif way == "touch":
        await memory.touch("a", TIMEOUT)
    else:
        await memory.has("a", TIMEOUT)
    await commit(memory, sets(x=b"1"), "c")
    assert sorted(await memory.keys(TIMEOUT)) == ["a", "c"]


async def test_listing_the_keys_is_no_use() -> None:
    memory = MemoryBackend(RULES, max_entries=2)
    await commit(memory, sets(x=b"1"), "a")
    await commit(memory, sets(x=b"1"), "b")
    await load(memory, key="a")
    await memory.keys(TIMEOUT)
    await commit(memory, sets(x=b"1"), "c")
    assert sorted(await memory.keys(TIMEOUT)) == ["a", "c"]


async def test_memory_is_bounded_by_bytes() -> None:
    memory = MemoryBackend(RULES, max_bytes=100_000)
    for at in range(100):
        await commit(memory, appends(0, b"x" * 10_000), str(at))
        assert memory.size <= 100_000
    assert 1 < len(memory) < 10
    assert values(await load(memory, key="99")) == [b"x" * 10_000]


async def test_a_growing_conversation_pushes_others_out() -> None:
    memory = MemoryBackend(RULES, max_bytes=20_000)
    for key in ("a", "b"):
        await commit(memory, sets(x=b"1"), key)
    for at in range(17):
        await commit(memory, appends(at, b"x" * 1_000), "b")
    assert await memory.keys(TIMEOUT) == ["b"]


async def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    memory = MemoryBackend(RULES, max_bytes=5_000)
    await commit(memory, appends(0, b"x" * 10_000))
    assert (len(memory), memory.size) == (0, 0)


async def test_what_expires_gives_its_bytes_back() -> None:
    clock = Clock()
    memory = MemoryBackend(RULES, clock=clock)
    await commit(memory, appends(0, b"x" * 1_000))
    clock.now += TTL_MS / 1000
    assert await load(memory) == MISSING
    assert (len(memory), memory.size) == (0, 0)


async def test_tombstones_are_bounded_too() -> None:
    memory = MemoryBackend(RULES, max_entries=10)
    for at in range(100):
        await memory.delete(str(at), TIMEOUT)
    assert sum(memory.is_deleted(str(at)) for at in range(100)) <= 10
    assert memory.is_deleted("99")


async def test_a_snapshot_does_not_change_with_what_is_kept() -> None:
    memory = MemoryBackend(RULES)
    await commit(memory, Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"]))
    before = await load(memory)
    await commit(memory, puts(1, a=(b"1", b"2")))
    await commit(memory, appends(2, b"ho"))
    assert (before.fields, values(before)) == ({"a": b"1"}, [b"hi"])


def test_a_copy_is_what_was_copied() -> None:
    clock = Clock()
    memory = MemoryBackend(RULES, clock=clock, wall=clock)
    memory.keep(KEY, ORIGINAL)
    assert memory.snapshot(KEY, 50) == ORIGINAL
    clock.now += 30
    assert memory.snapshot(KEY, 50) == MISSING


def test_a_copy_replaces_the_copy_before() -> None:
    memory = MemoryBackend(RULES)
    memory.keep(KEY, ORIGINAL)
    size = memory.size
    memory.keep(KEY, ORIGINAL)
    assert (len(memory), memory.size) == (1, size)


def test_a_copy_follows_its_original() -> None:
    memory = MemoryBackend(RULES)
    memory.keep(KEY, ORIGINAL)
    changes = Changes(
        commit_id(), 7, fields={"b": Put(b"2")}, removed={"a": b"1"}, appended=[b"z"], dropped=[11]
    )
    memory.follow(KEY, changes, Outcome("committed", 8, 123, TTL_MS, 12, 15), window=50)
    copy = memory.snapshot(KEY, 50)
    assert (copy.version, copy.total, copy.created_ms) == (8, 12, 123)
    assert (copy.fields, list(copy.messages)) == ({"b": b"2"}, [(14, b"y"), (15, b"z")])


def test_a_copy_takes_the_versions_and_numbers_of_its_original() -> None:
    memory = MemoryBackend(RULES)
    memory.keep(KEY, ORIGINAL)
    outcome = Outcome(
        "committed", version=11, created_ms=123, ttl_ms=TTL_MS, total=20, first_seq=40
    )
    memory.follow(KEY, appends(7, b"z"), outcome, window=50)
    copy = memory.snapshot(KEY, 50)
    assert (copy.version, copy.total, list(copy.messages)[-1]) == (11, 20, (40, b"z"))


def test_a_copy_keeps_about_a_window_of_messages() -> None:
    memory = MemoryBackend(RULES)
    memory.follow(KEY, appends(0, b"0"), Outcome("committed", 1, 5, TTL_MS, 1, 1), window=10)
    for at in range(1, 100):
        outcome = Outcome("committed", at + 1, 5, TTL_MS, at + 1, at + 1)
        memory.follow(KEY, appends(at, b"%d" % at), outcome, window=10)
    copy = memory.snapshot(KEY, 0)
    assert 10 <= len(copy.messages) <= 20
    assert (copy.total, list(copy.messages)[-1]) == (100, (100, b"99"))


def test_what_is_not_copied_is_not_followed() -> None:
    memory = MemoryBackend(RULES)
    memory.follow(KEY, appends(4, b"z"), Outcome("committed", 5, 5, TTL_MS, 9, 9), window=50)
    memory.follow(KEY, appends(0, b"z"), Outcome("committed", 2, 5, TTL_MS, 9, 9), window=50)
    assert memory.snapshot(KEY, 50) == MISSING


async def test_a_copy_of_what_is_deleted_says_so_until_it_is_there_again() -> None:
    memory = MemoryBackend(RULES)
    memory.keep(KEY, ORIGINAL)
    await memory.delete(KEY, TIMEOUT)
    assert memory.snapshot(KEY, 50) == DELETED
    memory.keep(KEY, ORIGINAL)
    assert memory.snapshot(KEY, 50).version == 7


def test_a_move_hands_everything_over() -> None:
    copies, kept = MemoryBackend(RULES), MemoryBackend(RULES)
    copies.keep(KEY, ORIGINAL)
    size = copies.size
    assert copies.move(KEY, kept)
    assert not copies.move(KEY, kept)
    assert (len(copies), copies.size, len(kept), kept.size) == (0, 0, 1, size)
    assert list(kept.snapshot(KEY, 50).messages) == list(ORIGINAL.messages)


async def test_commits_of_long_ago_are_not_hoarded() -> None:
    memory = MemoryBackend(RULES)
    first = appends(0, b"x")
    await commit(memory, first)
    for _ in range(20):
        await commit(memory, appends(0, b"x"))
    assert (await commit(memory, first)).version == 22


async def test_what_was_admitted_goes_on_from_its_version() -> None:
    memory = MemoryBackend(RULES)
    memory.admit(KEY, appends(41))
    assert (await commit(memory, appends(41, b"hi"))).version == 42


keys = st.sampled_from(["a", "b", "c", "d"])
sizes = st.sampled_from([0, 100, 900])


class Bounds(RuleBasedStateMachine):
    """Whatever is done, the bytes that memory counts are those that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        rules = Rules(TTL_MS, max_messages=5)
        self.memory = MemoryBackend(
            rules, max_entries=3, max_bytes=4_000, clock=self.clock, wall=self.clock
        )
        self.other = MemoryBackend(rules, max_entries=2, max_bytes=3_000, clock=self.clock)

    @rule(key=keys, size=sizes, count=st.integers(0, 4), field=st.booleans())
    def apply(self, key: str, size: int, count: int, field: bool) -> None:
        changes = appends(0, *[b"x" * size] * count)
        if field:
            changes.fields["f"] = Put(b"y" * size)
        self.memory.apply(key, changes)

    @rule(key=keys, size=sizes, edit=st.sampled_from(["replace", "drop", "clear"]))
    def edit(self, key: str, size: int, edit: str) -> None:
        numbers = self.memory.snapshot(key, 0).messages.numbers
        if not numbers:
            return
        changes = appends(0, b"x" * size)
        changes.removed["f"] = b""
        if edit == "replace":
            changes.replaced[numbers[0]] = Put(b"z" * size)
        elif edit == "drop":
            changes.dropped.append(numbers[0])
        else:
            changes.cleared = numbers[-1]
        self.memory.apply(key, changes)

    @rule(key=keys, size=sizes, count=st.integers(0, 6))
    def follow(self, key: str, size: int, count: int) -> None:
        outcome = Outcome("committed", 2, 5, TTL_MS, 50, 40)
        self.memory.follow(key, appends(1, *[b"x" * size] * count), outcome, window=1)

    @rule(key=keys, size=sizes)
    def keep(self, key: str, size: int) -> None:
        self.memory.keep(key, Snapshot(3, 5, TTL_MS, 1, {"f": b"x" * size}))

    @rule(key=keys)
    def admit(self, key: str) -> None:
        if key not in self.memory:
            self.memory.admit(key, appends(5))

    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.memory.forget(key)

    @rule(key=keys)
    def move(self, key: str) -> None:
        if key not in self.other:
            self.memory.move(key, self.other)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_what_it_holds(self) -> None:
        for memory, most, bound in ((self.memory, 3, 4_000), (self.other, 2, 3_000)):
            assert len(memory) <= most
            assert 0 <= memory.size <= bound
            held = [memory.snapshot(key, 0) for key in ("a", "b", "c", "d") if key in memory]
            assert memory.size == sum(map(weight, held))

    def teardown(self) -> None:
        for key in ("a", "b", "c", "d"):
            self.memory.forget(key)
            self.other.forget(key)
        assert (self.memory.size, self.other.size) == (0, 0)


TestBounds = Bounds.TestCase
TestBounds.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
