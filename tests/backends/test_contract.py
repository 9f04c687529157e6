"""What every backend promises about the content of a conversation."""

import asyncio

import pytest

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import MISSING, Changes, Put
from tests.backends.harness import (
    KEY,
    TIMEOUT,
    Subject,
    appends,
    commit,
    commit_id,
    load,
    puts,
    sets,
    values,
)


async def test_a_load_of_nothing_is_a_snapshot_of_version_zero(backend: Backend) -> None:
    assert await load(backend) == MISSING


async def test_what_is_created_is_loaded(backend: Backend) -> None:
    outcome = await commit(
        backend, Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi", b"ho"])
    )
    assert (outcome.status, outcome.version, outcome.total) == ("committed", 1, 2)
    snapshot = await load(backend)
    first = outcome.first_seq
    assert snapshot.fields == {"a": b"1"}
    assert list(snapshot.messages) == [(first, b"hi"), (first + 1, b"ho")]
    assert (snapshot.version, snapshot.total, snapshot.deleted) == (1, 2, False)
    assert snapshot.created_ms == outcome.created_ms > 0


async def test_bytes_come_back_as_they_were(backend: Backend) -> None:
    binary = bytes(range(256)) * 2
    names = {"": b"", "a:b": binary, "@v": b"mine", ".": b"dot", "ä\n\0": b"\n", "1": b":1:"}
    log = [b"", b":", b"1:2", binary, b"\n"]
    fields = {name: Put(value) for name, value in names.items()}
    await commit(backend, Changes(commit_id(), 0, fields=fields, appended=log))
    snapshot = await load(backend)
    assert snapshot.fields == names
    assert values(snapshot) == log


async def test_a_commit_writes_only_what_it_names(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1", b=b"2", c=b"3"))
    changes = puts(1, a=(b"1", b"9"))
    changes.removed["c"] = b"3"
    await commit(backend, changes)
    assert (await load(backend)).fields == {"a": b"9", "b": b"2"}


async def test_an_empty_first_commit_creates_an_empty_conversation(backend: Backend) -> None:
    assert (await commit(backend, Changes(commit_id(), 0))).status == "committed"
    assert (await load(backend)).version == 1


async def test_versions_grow_by_one(backend: Backend) -> None:
    versions = [(await commit(backend, sets(at, a=b"x"))).version for at in range(4)]
    assert versions == [1, 2, 3, 4]
    assert (await load(backend)).version == 4


async def test_the_time_of_creation_stays(subject: Subject) -> None:
    backend = subject.make()
    created = (await commit(backend, sets(a=b"1"))).created_ms
    subject.age(5)
    moved = (await load(backend)).created_ms
    later = await commit(backend, sets(1, b=b"2"))
    assert later.created_ms == moved <= created


async def test_two_commits_of_different_fields_both_stay(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1", b=b"2"))
    first = await commit(backend, puts(1, a=(b"1", b"10")))
    second = await commit(backend, puts(1, b=(b"2", b"20")))
    assert (await load(backend)).fields == {"a": b"10", "b": b"20"}
    assert first.conflicts == second.conflicts == []


async def test_two_that_create_the_same_conversation_both_stay(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1"))
    second = await commit(backend, sets(0, b=b"2"))
    assert (second.status, second.version) == ("committed", 2)
    assert (await load(backend)).fields == {"a": b"1", "b": b"2"}


async def test_the_last_writer_of_a_field_wins_and_hears_its_name(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1", b=b"1", c=b"1"))
    await commit(backend, puts(1, a=(b"1", b"first"), b=(b"1", b"first")))
    late = puts(1, a=(b"1", b"late"), c=(b"1", b"late"))
    late.removed["b"] = b"1"
    outcome = await commit(backend, late)
    assert outcome.status == "committed"
    assert sorted(outcome.conflicts) == ["a", "b"]
    assert (await load(backend)).fields == {"a": b"late", "c": b"late"}


async def test_two_that_set_a_new_field_collide(backend: Backend) -> None:
    await commit(backend, sets(0, other=b"1"))
    await commit(backend, puts(1, a=(None, b"mine")))
    outcome = await commit(backend, puts(1, a=(None, b"yours")))
    assert outcome.conflicts == ["a"]


async def test_a_field_that_was_removed_meanwhile_collides(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1"))
    await commit(backend, Changes(commit_id(), 1, removed={"a": b"1"}))
    assert (await commit(backend, puts(1, a=(b"1", b"2")))).conflicts == ["a"]


async def test_two_that_wrote_the_same_do_not_collide(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1", b=b"1"))
    for _ in range(2):
        same = puts(1, a=(b"1", b"2"))
        same.removed["b"] = b"1"
        assert (await commit(backend, same)).conflicts == []


async def test_a_change_of_what_is_stored_does_not_collide(backend: Backend) -> None:
    await commit(backend, sets(0, a=b"1", b=b"1"))
    await commit(backend, puts(1, b=(b"1", b"2")))
    outcome = await commit(backend, puts(1, a=(b"1", b"2")))
    assert outcome.conflicts == []


async def test_a_rejected_commit_writes_nothing(subject: Subject) -> None:
    backend = subject.make(reject=True)
    await commit(backend, sets(0, a=b"1", b=b"1"))
    await commit(backend, puts(1, a=(b"1", b"first")))
    before = await load(backend)
    late = puts(1, a=(b"1", b"late"), b=(b"1", b"late"), c=(None, b"late"))
    late.appended.append(b"late")
    outcome = await commit(backend, late)
    assert (outcome.status, outcome.version, outcome.conflicts) == ("conflict", 2, ["a"])
    after = await load(backend)
    assert (after.fields, list(after.messages), after.version) == (before.fields, [], 2)


async def test_a_store_that_rejects_takes_what_does_not_collide(subject: Subject) -> None:
    backend = subject.make(reject=True)
    await commit(backend, sets(0, a=b"1", b=b"1"))
    await commit(backend, puts(1, a=(b"1", b"2")))
    assert (await commit(backend, puts(1, b=(b"1", b"2")))).status == "committed"
    assert (await commit(backend, appends(1, b"hi"))).status == "committed"


async def test_appends_of_two_commits_both_stay_in_order(backend: Backend) -> None:
    await commit(backend, appends(0, b"0"))
    first = await commit(backend, appends(1, b"a", b"b"))
    second = await commit(backend, appends(1, b"c"))
    assert second.first_seq == first.first_seq + 2
    assert (second.total, second.conflicts) == (4, [])
    assert values(await load(backend)) == [b"0", b"a", b"b", b"c"]


async def test_commits_that_meet_all_stay(backend: Backend) -> None:
    await commit(backend, appends(0, b"0"))
    await asyncio.gather(*(commit(backend, appends(1, b"%d" % at)) for at in range(1, 40)))
    snapshot = await load(backend)
    assert sorted(values(snapshot)) == sorted(b"%d" % at for at in range(40))
    assert list(snapshot.messages.numbers) == list(
        range(snapshot.messages.numbers[0], snapshot.messages.numbers[0] + 40)
    )
    assert snapshot.version == 40


async def test_a_message_is_replaced_by_its_number(backend: Backend) -> None:
    first = (await commit(backend, appends(0, b"a", b"b", b"c"))).first_seq
    changes = Changes(commit_id(), 1, replaced={first + 1: Put(b"B", b"b")})
    assert (await commit(backend, changes)).conflicts == []
    stored = list((await load(backend)).messages)
    assert stored == [(first, b"a"), (first + 1, b"B"), (first + 2, b"c")]


async def test_a_message_that_two_replaced_collides_by_its_number(backend: Backend) -> None:
    first = (await commit(backend, appends(0, b"a"))).first_seq
    await commit(backend, Changes(commit_id(), 1, replaced={first: Put(b"b", b"a")}))
    late = await commit(backend, Changes(commit_id(), 1, replaced={first: Put(b"c", b"a")}))
    assert late.conflicts == [f"messages#{first}"]
    assert values(await load(backend)) == [b"c"]


async def test_a_message_that_is_gone_is_not_replaced(backend: Backend) -> None:
    first = (await commit(backend, appends(0, b"a", b"b"))).first_seq
    await commit(backend, Changes(commit_id(), 1, dropped=[first]))
    late = await commit(backend, Changes(commit_id(), 1, replaced={first: Put(b"c", b"a")}))
    assert late.conflicts == [f"messages#{first}"]
    assert values(await load(backend)) == [b"b"]


async def test_messages_are_dropped_by_their_numbers(backend: Backend) -> None:
    first = (await commit(backend, appends(0, b"a", b"b", b"", b"b", b"e"))).first_seq
    outcome = await commit(
        backend, Changes(commit_id(), 1, dropped=[first + 1, first + 4, first + 99])
    )
    assert outcome.total == 3
    stored = list((await load(backend)).messages)
    assert stored == [(first, b"a"), (first + 2, b""), (first + 3, b"b")]


async def test_numbers_are_found_past_gaps(backend: Backend) -> None:
    first = (await commit(backend, appends(0, *(b"%d" % at for at in range(9))))).first_seq
    await commit(backend, Changes(commit_id(), 1, dropped=[first, first + 3, first + 4]))
    for at in (1, 2, 5, 6, 7, 8):
        put = Put(b"new%d" % at, b"%d" % at)
        assert (await commit(backend, Changes(commit_id(), 1, replaced={first + at: put}))).version
    assert values(await load(backend)) == [b"new%d" % at for at in (1, 2, 5, 6, 7, 8)]


async def test_numbers_are_not_used_twice(backend: Backend) -> None:
    first = (await commit(backend, appends(0, b"a", b"b"))).first_seq
    await commit(backend, Changes(commit_id(), 1, dropped=[first, first + 1]))
    assert (await commit(backend, appends(2, b"c"))).first_seq == first + 2


async def test_clearing_leaves_what_came_later(backend: Backend) -> None:
    first = (await commit(backend, appends(0, b"a", b"b"))).first_seq
    await commit(backend, appends(1, b"later"))
    changes = Changes(commit_id(), 1, cleared=first + 1, appended=[b"new"])
    assert (await commit(backend, changes)).total == 2
    assert values(await load(backend)) == [b"later", b"new"]


async def test_only_the_last_max_messages_stay(subject: Subject) -> None:
    backend = subject.make(max_messages=3)
    await commit(backend, appends(0, b"a", b"b"))
    outcome = await commit(backend, appends(1, b"c", b"d"))
    assert outcome.total == 3
    snapshot = await load(backend, window=0)
    assert values(snapshot) == [b"b", b"c", b"d"]
    assert snapshot.messages.numbers[-1] == outcome.first_seq + 1


@pytest.mark.parametrize(("window", "expected"), [(2, [b"3", b"4"]), (9, None), (0, None)])
async def test_a_load_brings_the_window(
    backend: Backend, window: int, expected: list[bytes] | None
) -> None:
    await commit(backend, appends(0, *(b"%d" % at for at in range(5))))
    snapshot = await load(backend, window=window)
    assert values(snapshot) == (expected or [b"0", b"1", b"2", b"3", b"4"])
    assert snapshot.total == 5


async def test_older_messages_come_page_by_page(backend: Backend) -> None:
    first = (await commit(backend, appends(0, *(b"%d" % at for at in range(6))))).first_seq
    await commit(backend, Changes(commit_id(), 1, dropped=[first + 1]))
    page = await backend.older(KEY, first + 5, 2, TIMEOUT)
    assert list(page) == [(first + 3, b"3"), (first + 4, b"4")]
    page = await backend.older(KEY, first + 3, 2, TIMEOUT)
    assert list(page) == [(first, b"0"), (first + 2, b"2")]
    assert not await backend.older(KEY, first, 2, TIMEOUT)
    assert len(await backend.older(KEY, 2**53, 100, TIMEOUT)) == 5
    assert not await backend.older("nobody", 2**53, 5, TIMEOUT)


async def test_conversations_are_told_apart_by_key(backend: Backend) -> None:
    await commit(backend, sets(a=b"1"), "one")
    await commit(backend, sets(a=b"2"), "two")
    assert (await load(backend, key="one")).fields == {"a": b"1"}
    assert sorted(await backend.keys(TIMEOUT)) == ["one", "two"]
    assert [await backend.has(key, TIMEOUT) for key in ("one", "three")] == [True, False]
