"""What was written during an outage is applied once, in order, and brings back nothing deleted."""

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest

from jv_session_mw.backends.breaker import CONSECUTIVE_FAILURES
from jv_session_mw.backends.fallback import KEPT, FallbackBackend
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import Patience
from jv_session_mw.backends.replay import Replay
from jv_session_mw.changes import DELETED, Changes, Outcome, Put, Rules, Snapshot
from tests.backends.harness import (
    KEY,
    PATIENCE,
    TIMEOUT,
    TTL_MS,
    appends,
    commit,
    commit_id,
    eventually,
    guarded,
    load,
    puts,
    redis_backend,
    sets,
    values,
)
from tests.faults.proxy import Fault, Proxy
from tests.servers import RedisServer

WINDOW = 50


class Parted:
    """A process that can be parted from Redis, and another that Redis stays with."""

    def __init__(
        self, server: RedisServer, proxy: Proxy, rules: Rules, patience: Patience = PATIENCE
    ) -> None:
        self.server = server
        self.proxy = proxy
        self.guard = guarded(proxy.url, rules, patience)
        self.here = FallbackBackend(self.guard, rules, window=WINDOW, replay_within=patience.end)
        self.elsewhere: RedisBackend = redis_backend(server, rules)

    @property
    def replay(self) -> Replay:
        assert self.here.replay is not None
        return self.here.replay

    @property
    def conflicts(self) -> int:
        return self.here.condition().replay_conflicts

    async def part(self) -> None:
        self.proxy.part()
        for _ in range(CONSECUTIVE_FAILURES):
            await load(self.here, key="nobody")

    async def join(self) -> None:
        """Let the process reach Redis again, and wait until all is replayed."""
        self.proxy.join()
        await eventually(lambda: not (self.guard.is_away or self.replay.journal))

    async def close(self) -> None:
        await self.here.close()
        await self.elsewhere.close()


@pytest.fixture(params=[False], ids=["merge"])
async def parted(request: pytest.FixtureRequest, valkey: RedisServer) -> AsyncGenerator[Parted]:
    async with Proxy(valkey.port) as proxy:
        parted = Parted(valkey, proxy, Rules(TTL_MS, reject=request.param))
        yield parted
        await parted.close()


rejecting = pytest.mark.parametrize("parted", [True], indirect=True, ids=["reject"])


def resting_on(held: Snapshot | Outcome, changes: Changes) -> Changes:
    """Return *changes* as a request sends them that has loaded *held*."""
    changes.base_version, changes.birth = held.version, held.birth
    return changes


async def turn(parted: Parted, *messages: bytes, **fields: tuple[bytes | None, bytes]) -> Outcome:
    held = await load(parted.here)
    changes = resting_on(held, puts(0, **fields))
    changes.appended = list(messages)
    return await commit(parted.here, changes)


async def both(parted: Parted) -> Snapshot:
    """Return what Redis has, which is what the process sees."""
    stored = await load(parted.elsewhere)
    seen = await load(parted.here)
    assert (values(seen), seen.fields, seen.version) == (
        values(stored), stored.fields, stored.version,
    )  # fmt: skip
    assert seen.fallback == ""
    return stored


async def test_turns_of_an_outage_join_what_was_stored_before(parted: Parted) -> None:
    await turn(parted, b"1", step=(None, b"a"))
    await parted.part()
    assert (await turn(parted, b"2", step=(b"a", b"b"))).fallback == "breaker_open"
    assert (await turn(parted, b"3", step=(b"b", b"c"))).fallback == KEPT
    assert values(await load(parted.elsewhere)) == [b"1"]
    await parted.join()
    stored = await both(parted)
    assert values(stored) == [b"1", b"2", b"3"]
    assert stored.fields == {"step": b"c"}
    assert stored.version == 3
    assert parted.conflicts == 0


async def test_what_was_begun_during_an_outage_is_created(parted: Parted) -> None:
    await parted.part()
    await turn(parted, b"1", step=(None, b"a"))
    await turn(parted, b"2")
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2"]
    await turn(parted, b"3")
    assert values(await both(parted)) == [b"1", b"2", b"3"]


async def test_what_somebody_else_wrote_meanwhile_stays(parted: Parted) -> None:
    await turn(parted, b"1", mine=(None, b"a"), theirs=(None, b"a"))
    await parted.part()
    await turn(parted, b"2", mine=(b"a", b"b"))
    await commit(parted.elsewhere, appends(1, b"other"))
    await commit(parted.elsewhere, puts(2, theirs=(b"a", b"c")))
    await parted.join()
    stored = await both(parted)
    assert values(stored) == [b"1", b"other", b"2"]
    assert stored.fields == {"mine": b"b", "theirs": b"c"}
    assert parted.conflicts == 0


async def test_a_collision_is_applied_and_reported(
    parted: Parted, caplog: pytest.LogCaptureFixture
) -> None:
    await turn(parted, step=(None, b"a"))
    await parted.part()
    await turn(parted, b"1", step=(b"a", b"here"))
    await commit(parted.elsewhere, puts(1, step=(b"a", b"there")))
    with caplog.at_level(logging.WARNING, "jv_session_mw"):
        await parted.join()
    assert (await both(parted)).fields == {"step": b"here"}
    assert parted.conflicts == 1
    assert any("step collided" in line for line in caplog.messages)


@rejecting
async def test_a_collision_is_left_out_and_reported_where_it_is_to_be_rejected(
    parted: Parted,
) -> None:
    await turn(parted, b"0", step=(None, b"a"), topic=(None, b"x"))
    await parted.part()
    await turn(parted, b"1", step=(b"a", b"here"), topic=(b"x", b"y"))
    await commit(parted.elsewhere, puts(1, step=(b"a", b"there")))
    await parted.join()
    stored = await both(parted)
    assert stored.fields == {"step": b"there", "topic": b"y"}
    assert values(stored) == [b"0", b"1"]
    assert parted.conflicts == 1


async def test_edits_meet_the_messages_that_were_meant(parted: Parted) -> None:
    await turn(parted, b"1", b"2")
    await parted.part()
    await turn(parted, b"3", b"4")
    await commit(parted.elsewhere, appends(1, b"other"))
    held = await load(parted.here)
    assert values(held) == [b"1", b"2", b"3", b"4"]
    first, second, third, fourth = held.messages.numbers
    edit = Changes(
        commit_id(), 0, replaced={first: Put(b"1!", b"1"), third: Put(b"3!", b"3")},
        dropped=[second, fourth],
    )  # fmt: skip
    await commit(parted.here, resting_on(held, edit))
    await parted.join()
    assert values(await both(parted)) == [b"1!", b"other", b"3!"]
    assert parted.conflicts == 0


async def test_a_clear_leaves_what_it_has_not_seen(parted: Parted) -> None:
    await turn(parted, b"1", b"2")
    await parted.part()
    await turn(parted, b"3")
    held = await load(parted.here)
    await commit(parted.elsewhere, appends(1, b"other"))
    clear = Changes(commit_id(), 0, cleared=held.messages.numbers[-1], appended=[b"new"])
    await commit(parted.here, resting_on(held, clear))
    await parted.join()
    assert values(await both(parted)) == [b"other", b"new"]


async def test_what_was_deleted_during_an_outage_is_deleted(parted: Parted) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    assert await parted.here.delete(KEY, TIMEOUT)
    assert (await commit(parted.here, appends(1, b"late"))).status == "gone"
    await parted.join()
    assert await load(parted.elsewhere) == DELETED
    assert await load(parted.here) == DELETED
    assert parted.conflicts == 0


async def test_what_was_revived_after_a_delete_begins_anew(parted: Parted) -> None:
    await turn(parted, b"1")
    await parted.part()
    await parted.here.delete(KEY, TIMEOUT)
    await commit(parted.here, Changes(commit_id(), 0, appended=[b"new"], revive=True))
    await turn(parted, b"more")
    await parted.join()
    assert values(await both(parted)) == [b"new", b"more"]


async def test_what_was_deleted_elsewhere_meanwhile_stays_deleted_and_is_reported(
    parted: Parted,
) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    await turn(parted, b"3")
    await parted.elsewhere.delete(KEY, TIMEOUT)
    await parted.join()
    assert await load(parted.elsewhere) == DELETED
    assert await load(parted.here) == DELETED
    assert parted.conflicts == 2


async def test_a_server_that_comes_back_empty_gets_back_what_memory_has(parted: Parted) -> None:
    await turn(parted, b"1", b"2", step=(None, b"a"))
    await parted.part()
    during = await turn(parted, b"3")
    parted.server.flush()
    await parted.join()
    stored = await both(parted)
    assert values(stored) == [b"1", b"2", b"3"]
    assert stored.fields == {"step": b"a"}
    # A request that began before its return goes on with what it had.
    await commit(parted.here, resting_on(during, appends(0, b"4")))
    assert values(await both(parted)) == [b"1", b"2", b"3", b"4"]


async def test_a_request_that_began_in_memory_ends_in_the_store(parted: Parted) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    held = await load(parted.here)
    await commit(parted.elsewhere, appends(1, b"other"))
    await parted.join()
    second = held.messages.numbers[-1]
    late = Changes(commit_id(), 0, replaced={second: Put(b"2!", b"2")}, appended=[b"3"])
    outcome = await commit(parted.here, resting_on(held, late))
    assert (outcome.status, outcome.conflicts) == ("committed", [])
    assert values(await both(parted)) == [b"1", b"other", b"2!", b"3"]


async def test_a_request_that_began_in_a_new_conversation_ends_in_the_store(
    parted: Parted,
) -> None:
    await parted.part()
    held = await turn(parted, b"1")
    await parted.join()
    await turn(parted, b"2")
    late = Changes(commit_id(), 0, replaced={held.first_seq: Put(b"1!", b"1")})
    await commit(parted.here, resting_on(held, late))
    stored = await both(parted)
    assert values(stored) == [b"1!", b"2"]
    drop = Changes(commit_id(), 0, dropped=[stored.messages.numbers[-1]])
    await commit(parted.here, resting_on(stored, drop))
    assert values(await both(parted)) == [b"1!"]


async def test_a_history_that_this_process_has_not_is_gone_on_with(parted: Parted) -> None:
    stored = await commit(parted.elsewhere, appends(0, b"1", b"2"))
    await parted.part()
    held = Snapshot(version=stored.version, birth=stored.birth)
    await commit(parted.here, resting_on(held, appends(0, b"3")))
    first = (await load(parted.elsewhere)).messages.numbers[0]
    edit = Changes(commit_id(), 0, replaced={first: Put(b"1!", b"1")}, appended=[b"4"])
    await commit(parted.here, resting_on(held, edit))
    await parted.join()
    assert values(await both(parted)) == [b"1!", b"2", b"3", b"4"]


@pytest.mark.parametrize("fault", ["no reply", "cut reply", "reset", "garbage", "half open"])
async def test_a_replay_that_is_broken_off_applies_nothing_twice(
    valkey: RedisServer, fault: Fault
) -> None:
    left = 0

    def choose() -> Fault | None:
        nonlocal left
        left -= 1
        return fault if left >= 0 else None

    async with Proxy(valkey.port, choose) as proxy:
        parted = Parted(valkey, proxy, Rules(TTL_MS), Patience(doubt=0.1, end=0.2))
        await turn(parted, b"0")
        await parted.part()
        for at in range(1, 6):
            await turn(parted, b"%d" % at)
        left = 8
        await parted.join()
        assert left < 0
        assert values(await load(parted.elsewhere)) == [b"%d" % at for at in range(6)]
        await parted.close()


async def test_many_conversations_are_replayed_while_requests_go_on(parted: Parted) -> None:
    keys = [f"key{at}" for at in range(200)]
    await parted.part()
    births = [await commit(parted.here, appends(0, b"1"), key) for key in keys]
    parted.proxy.join()
    for key, held in zip(keys, births, strict=True):
        await commit(parted.here, resting_on(held, appends(0, b"2")), key)
        await asyncio.sleep(0)
    await parted.join()
    found = await asyncio.gather(*(load(parted.elsewhere, key=key) for key in keys))
    assert [values(snapshot) for snapshot in found] == [[b"1", b"2"]] * len(keys)
    assert not len(parted.here.kept)


async def test_a_full_journal_lets_the_rest_stay_in_memory_and_says_so(
    parted: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parted.replay.journal, "_max_entries", 3)
    await parted.part()
    for at in range(5):
        await commit(parted.here, appends(0, b"x"), f"key{at}")
    assert parted.here.condition().to_replay == 3
    assert parted.conflicts == 2
    await parted.join()
    assert sorted(await parted.elsewhere.keys(TIMEOUT)) == ["key2", "key3", "key4"]
    assert values(await load(parted.here, key="key0")) == [b"x"]


async def test_a_flood_of_made_up_ids_is_counted_and_does_not_flood_the_log(
    parted: Parted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parted.replay.journal, "_max_entries", 3)
    await parted.part()
    caplog.clear()
    for at in range(500):
        await commit(parted.here, appends(0, b"x"), f"key{at}")
    assert parted.conflicts == 497
    assert len(caplog.messages) <= 3
    await parted.join()
    await eventually(lambda: "more of the same" in caplog.text)
    counts = [line.partition("(")[2].partition(")")[0] for line in caplog.messages]
    assert sum(int(count) for count in counts if count.isdigit()) == 497


async def test_what_a_process_takes_with_it_is_said(
    parted: Parted, caplog: pytest.LogCaptureFixture
) -> None:
    await parted.part()
    await turn(parted, b"1")
    await parted.here.close()
    assert "1 conversations were changed while the store was away" in caplog.text


async def test_a_close_just_after_the_return_replays_first(parted: Parted) -> None:
    await parted.part()
    await commit(parted.here, sets(a=b"1"))
    parted.proxy.join()
    await eventually(lambda: not parted.guard.is_away)
    await parted.here.close()
    assert (await load(parted.elsewhere)).fields == {"a": b"1"}


async def test_what_memory_has_forgotten_and_begun_anew_joins_what_came_before(
    parted: Parted,
) -> None:
    await turn(parted, b"1")
    await parted.part()
    await turn(parted, b"2")
    parted.here.kept.forget(KEY)  # as when it has to make room
    await turn(parted, b"3")
    await turn(parted, b"4")
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2", b"3", b"4"]
    assert parted.conflicts == 0
