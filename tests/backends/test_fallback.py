"""Memory in place of Redis, by the rule called sticky."""

from collections.abc import Callable

import pytest

from jv_session_mw.backends.fallback import MAX_BYTES, MAX_ENTRIES
from jv_session_mw.changes import Changes, Put
from jv_session_mw.errors import StoreUnavailable
from tests.backends.harness import (
    KEY,
    TIMEOUT,
    Bytes,
    appends,
    commit,
    commit_id,
    load,
    puts,
    sets,
    values,
)
from tests.backends.outage import WINDOW, Process
from tests.servers import RedisServer


def stored_in(server: RedisServer) -> set[bytes]:
    stored = Bytes(server)
    keys = stored.keys()
    stored.close()
    return keys


async def test_while_redis_answers_memory_says_nothing(process: Process) -> None:
    outcome = await commit(process.backend, appends(0, b"hi"))
    snapshot = await load(process.backend)
    assert (outcome.fallback, snapshot.fallback) == ("", "")
    assert not process.backend.condition().degraded


async def test_what_another_process_wrote_wins_over_the_copy(
    new_process: Callable[[], Process],
) -> None:
    one, other = new_process(), new_process()
    await commit(one.backend, sets(a=b"1"))
    await commit(other.backend, puts(1, a=(b"1", b"2")))
    assert (await load(one.backend)).fields == {"a": b"2"}
    await other.backend.delete(KEY, TIMEOUT)
    assert (await load(one.backend)).deleted


async def test_in_an_outage_everything_works(process: Process) -> None:
    await process.lose()
    first = await commit(process.backend, appends(0, b"hi"))
    assert (first.status, first.version, first.fallback) == ("committed", 1, "breaker_open")
    assert (await commit(process.backend, sets(1, a=b"1"))).version == 2
    snapshot = await load(process.backend)
    assert (values(snapshot), snapshot.fields) == ([b"hi"], {"a": b"1"})
    assert snapshot.fallback
    assert await process.backend.touch(KEY, TIMEOUT) > 0
    assert await process.backend.has(KEY, TIMEOUT)
    assert await process.backend.keys(TIMEOUT) == [KEY]
    assert process.backend.condition().degraded
    assert await process.backend.delete(KEY, TIMEOUT)
    assert (await load(process.backend)).deleted
    assert (await commit(process.backend, sets(2, a=b"2"))).status == "gone"


async def test_the_first_call_of_an_outage_is_answered_too(process: Process) -> None:
    process.server.kill()
    assert (await commit(process.backend, appends(0, b"hi"))).fallback == "connection"
    assert (await load(process.backend)).fallback
    assert values(await load(process.backend)) == [b"hi"]


@pytest.mark.parametrize("how", ["served", "created"])
async def test_a_known_conversation_goes_on_with_its_context(
    new_process: Callable[[], Process], how: str
) -> None:
    process = new_process()
    author = process if how == "created" else new_process()
    await commit(author.backend, Changes(commit_id(), 0, {"a": Put(b"1")}, {}, [b"1", b"2"]))
    await load(process.backend, window=WINDOW)
    await process.lose()
    snapshot = await load(process.backend, window=WINDOW)
    assert (snapshot.version, snapshot.fields, values(snapshot)) == (1, {"a": b"1"}, [b"1", b"2"])
    assert snapshot.fallback
    outcome = await commit(process.backend, appends(1, b"3"))
    assert (outcome.version, outcome.total) == (2, 3)
    assert values(await load(process.backend, window=WINDOW)) == [b"1", b"2", b"3"]


async def test_the_copy_knows_what_was_changed_since_the_load(process: Process) -> None:
    await commit(process.backend, appends(0, b"1", b"2", b"3"))
    await load(process.backend)
    changes = Changes(commit_id(), 1, {"a": Put(b"x")}, dropped=[1], replaced={2: Put(b"B", b"2")})
    await commit(process.backend, changes)
    await process.lose()
    snapshot = await load(process.backend)
    assert (snapshot.fields, values(snapshot), snapshot.version) == ({"a": b"x"}, [b"B", b"3"], 2)


async def test_an_outage_under_a_turn_does_not_lose_it(process: Process) -> None:
    await commit(process.backend, appends(0, b"1"))
    base = await load(process.backend)
    await process.lose()
    assert (await commit(process.backend, appends(base.version, b"2"))).status == "committed"
    assert values(await load(process.backend)) == [b"1", b"2"]


async def test_a_conversation_that_this_process_never_saw_goes_on_without_history(
    process: Process,
) -> None:
    await process.lose()
    assert (await load(process.backend)).version == 0
    outcome = await commit(process.backend, appends(41, b"hi"))
    assert (outcome.status, outcome.version) == ("committed", 42)
    assert values(await load(process.backend)) == [b"hi"]


async def test_what_was_written_in_an_outage_stays_in_memory(process: Process) -> None:
    await commit(process.backend, appends(0, b"before"))
    await process.lose()
    await commit(process.backend, appends(1, b"during"))
    await commit(process.backend, appends(0, b"new"), "new")
    await process.recover()
    before = stored_in(process.server)
    snapshot = await load(process.backend)
    assert (values(snapshot), bool(snapshot.fallback)) == ([b"before", b"during"], True)
    outcome = await commit(process.backend, appends(2, b"after"))
    assert (outcome.version, bool(outcome.fallback)) == (3, True)
    assert values(await load(process.backend)) == [b"before", b"during", b"after"]
    assert values(await load(process.backend, key="new")) == [b"new"]
    assert stored_in(process.server) == before
    assert sorted(await process.backend.keys(TIMEOUT)) == [KEY, "new"]


async def test_nothing_is_migrated(process: Process, new_process: Callable[[], Process]) -> None:
    await commit(process.backend, appends(0, b"before"))
    await process.lose()
    await commit(process.backend, appends(1, b"during"))
    await process.recover()
    await load(process.backend)
    assert values(await load(new_process().backend)) == [b"before"]


async def test_what_was_only_read_in_an_outage_returns_to_redis(
    process: Process, new_process: Callable[[], Process]
) -> None:
    await commit(process.backend, appends(0, b"before"))
    await process.lose()
    assert (await load(process.backend)).fallback
    await process.backend.touch(KEY, TIMEOUT)
    await process.recover()
    snapshot = await load(process.backend)
    assert (values(snapshot), snapshot.fallback) == ([b"before"], "")
    assert (await commit(process.backend, appends(1, b"after"))).fallback == ""
    assert values(await load(new_process().backend)) == [b"before", b"after"]


async def test_new_conversations_use_redis_again(
    process: Process, new_process: Callable[[], Process]
) -> None:
    await process.lose()
    await commit(process.backend, appends(0, b"x"), "during")
    await process.recover()
    assert (await commit(process.backend, appends(0, b"y"), "after")).fallback == ""
    assert await new_process().backend.keys(TIMEOUT) == ["after"]


async def test_what_was_deleted_in_an_outage_stays_deleted(process: Process) -> None:
    await commit(process.backend, appends(0, b"hi"))
    await process.lose()
    assert await process.backend.delete(KEY, TIMEOUT)
    assert (await load(process.backend)).deleted
    assert (await commit(process.backend, appends(1, b"late"))).status == "gone"
    await process.recover()
    assert (await load(process.backend)).deleted
    assert (await commit(process.backend, appends(1, b"later"))).status == "gone"
    assert not await process.backend.has(KEY, TIMEOUT)
    assert await process.backend.keys(TIMEOUT) == []


async def test_what_was_deleted_before_an_outage_stays_deleted(
    process: Process, new_process: Callable[[], Process]
) -> None:
    for key in ("mine", "theirs"):
        await commit(process.backend, appends(0, b"hi"), key)
    await process.backend.delete("mine", TIMEOUT)
    await new_process().backend.delete("theirs", TIMEOUT)
    assert (await load(process.backend, key="theirs")).deleted
    await process.lose()
    for key in ("mine", "theirs"):
        assert (await load(process.backend, key=key)).deleted
        assert (await commit(process.backend, appends(1, b"late"), key)).status == "gone"


async def test_what_was_kept_and_is_deleted_is_deleted_in_both(
    process: Process, new_process: Callable[[], Process]
) -> None:
    await commit(process.backend, appends(0, b"hi"))
    await process.lose()
    await commit(process.backend, appends(1, b"ho"))
    await process.recover()
    assert await process.backend.delete(KEY, TIMEOUT)
    assert (await load(process.backend)).deleted
    assert (await load(new_process().backend)).deleted


async def test_a_revival_in_an_outage_begins_anew(process: Process) -> None:
    await commit(process.backend, appends(0, b"old"))
    await process.lose()
    await process.backend.delete(KEY, TIMEOUT)
    revival = Changes(commit_id(), 0, appended=[b"new"], revive=True)
    assert (await commit(process.backend, revival)).status == "committed"
    assert values(await load(process.backend)) == [b"new"]


async def test_a_commit_that_is_repeated_in_memory_changes_nothing(process: Process) -> None:
    await commit(process.backend, appends(0, b"1"))
    await process.lose()
    turn = appends(1, b"2")
    for _ in range(2):
        assert (await commit(process.backend, turn)).version == 2
    assert values(await load(process.backend)) == [b"1", b"2"]


async def test_a_commit_whose_reply_was_lost_is_not_applied_twice(process: Process) -> None:
    turn = appends(0, b"hi")
    await commit(process.backend, turn)
    await process.lose()
    assert (await commit(process.backend, turn)).version == 1
    assert values(await load(process.backend)) == [b"hi"]


async def test_older_messages_that_cannot_be_reached_are_not_taken_for_absent(
    process: Process,
) -> None:
    for at in range(20):
        await commit(process.backend, appends(at, b"%d" % at))
    await process.lose()
    first = (await load(process.backend, window=WINDOW)).messages.numbers[0]
    page = await process.backend.older(KEY, first, 50, TIMEOUT)
    oldest = page.numbers[0]
    assert list(page) == [(seq, b"%d" % (seq - 1)) for seq in range(oldest, first)]
    assert oldest > 1
    with pytest.raises(StoreUnavailable):
        await process.backend.older(KEY, oldest, 50, TIMEOUT)


async def test_memory_is_bounded_in_an_outage(process: Process) -> None:
    await process.lose()
    for at in range(MAX_ENTRIES + 100):
        await commit(process.backend, sets(a=b"x"), str(at))
    assert process.backend.condition().in_memory <= MAX_ENTRIES
    assert (await load(process.backend, key=str(MAX_ENTRIES + 99))).version == 1
    for at in range(80):
        await commit(process.backend, sets(b=b"x" * 2**20), str(at))
    assert process.backend.kept.size + process.backend.copies.size <= MAX_BYTES
