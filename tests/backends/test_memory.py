"""What only memory promises: bounds by entries and bytes, and copies of what is elsewhere."""

import pytest

from jv_session_mw.backends.memory import MemoryBackend
from jv_session_mw.changes import DELETED, MISSING, Changes, Outcome, Put, Rules, Snapshot
from jv_session_mw.stretch import Stretch
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
