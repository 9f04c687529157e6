"""A replay that is broken off, or has more to do than there is room or time for."""

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator

import pytest

from jv_session_mw.backends import replay
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.replay import AT_ONCE
from jv_session_mw.changes import MISSING, Changes, Outcome, Put, Rules, Snapshot
from tests.backends.harness import (
    PREFIX,
    TIMEOUT,
    TTL_MS,
    appends,
    commit,
    commit_id,
    eventually,
    load,
    sets,
    values,
)
from tests.backends.parted import Parted, both, resting_on, turn
from tests.faults.proxy import Fault, Proxy
from tests.servers import RedisServer


@pytest.fixture
async def own_parted(own_valkey: RedisServer) -> AsyncGenerator[Parted]:
    """A process that is parted from a server of the test's own."""
    async with Proxy(own_valkey.port) as proxy:
        parted = Parted(own_valkey, proxy, Rules(TTL_MS))
        yield parted
        await parted.close()


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
        parted = Parted(valkey, proxy, Rules(TTL_MS), Delivery(doubt_after=0.1, give_up_after=0.2))
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


async def test_a_store_that_refuses_to_write_is_not_asked_for_all_conversations_again_and_again(
    own_parted: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    parted, rounds = own_parted, list[int]()

    class Counted:
        """In place of a `Backoff`, which may be compiled, and has no subclasses then."""

        def __init__(self, base: float, cap: float) -> None: ...

        def next(self) -> float:
            rounds.append(refusals(parted.server))
            return 0.01

    monkeypatch.setattr(replay, "Backoff", Counted)
    parted.server.ask("CONFIG SET maxmemory 1")
    for at in range(5 * AT_ONCE):
        await commit(parted.here, appends(0, b"x"), f"key{at}")
    begun = len(rounds)
    await eventually(lambda: len(rounds) > begun + 5)
    asked = [after - before for before, after in itertools.pairwise(rounds[begun:])]
    parted.server.ask("CONFIG SET maxmemory 0")
    assert max(asked) <= AT_ONCE
    await parted.join()
    assert len(await parted.elsewhere.keys(TIMEOUT)) == 5 * AT_ONCE


async def test_conversations_that_the_store_refuses_hold_up_no_others(own_parted: Parted) -> None:
    parted = own_parted
    await parted.part()
    for at in range(3 * AT_ONCE):
        await commit(parted.here, appends(0, b"x"), f"bad{at}")
    for at in range(AT_ONCE):
        await commit(parted.here, appends(0, b"x"), f"good{at}")
    parted.server.do("ACL", "SETUSER", "default", "resetkeys", f"~{PREFIX}{{good*", "~*{~}*")
    parted.proxy.join()
    await eventually(lambda: len(parted.replay.journal) == 3 * AT_ONCE)
    parted.server.do("ACL", "SETUSER", "default", "allkeys")
    await parted.join()
    assert len(await parted.elsewhere.keys(TIMEOUT)) == 4 * AT_ONCE


def refusals(server: RedisServer) -> int:
    """Return how often a script has failed."""
    found = re.search(r"cmdstat_evalsha:.*failed_calls=(\d+)", server.info("commandstats"))
    return int(found[1]) if found else 0


async def test_a_turn_that_comes_while_a_replay_ends_is_replayed_too(
    parted: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await turn(parted, b"1")
    await parted.part()
    held = await turn(parted, b"2")
    ask = parted.guard.load

    async def beside_a_turn(
        key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        monkeypatch.undo()
        snapshot = await ask(key, window, timeout, known)
        await commit(parted.here, resting_on(held, appends(0, b"3")))
        return snapshot

    monkeypatch.setattr(parted.guard, "load", beside_a_turn)
    await parted.join()
    assert values(await both(parted)) == [b"1", b"2", b"3"]


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


@pytest.mark.parametrize("outages", [1, 2])
async def test_a_request_of_before_goes_on_where_the_journal_had_no_room(
    parted: Parted, monkeypatch: pytest.MonkeyPatch, outages: int
) -> None:
    held: Outcome | Snapshot = await turn(parted, b"1")
    if outages == 2:
        await parted.part()
        await turn(parted, b"2")
        held = await load(parted.here)
        await parted.join()
        await load(parted.here)
    monkeypatch.setattr(parted.replay.journal, "_max_entries", 1)
    await parted.part()
    await turn(parted, b"3")
    await commit(parted.here, appends(0, b"x"), "another")
    last = held.messages.numbers[-1] if isinstance(held, Snapshot) else held.first_seq
    late = Changes(commit_id(), 0, replaced={last: Put(b"!", b"%d" % outages)}, appended=[b"4"])
    outcome = await commit(parted.here, resting_on(held, late))
    assert (outcome.status, outcome.conflicts) == ("committed", [])
    before = [b"1", b"!"] if outages == 2 else [b"!"]
    assert values(await load(parted.here)) == [*before, b"3", b"4"]


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
    await eventually(lambda: not parted.guard.is_degraded)
    await parted.here.close()
    assert (await load(parted.elsewhere)).fields == {"a": b"1"}
