"""The scripts: named by their digests, and loaded again by themselves."""

import asyncio
import re

import pytest

from jv_session_mw.backends.redis import scripts
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.changes import Changes, Put
from jv_session_mw.lease import Claim
from tests.backends.harness import (
    HASH,
    KEY,
    LOG,
    TIMEOUT,
    TOMBSTONE,
    TTL_MS,
    Bytes,
    appends,
    commit,
    commit_id,
    load,
    sets,
    values,
)
from tests.backends.redis.conftest import Place

DIGESTS = (
    scripts.LOAD,
    scripts.COMMIT,
    scripts.TOUCH,
    scripts.DELETE,
    scripts.OLDER,
    scripts.HAS,
    scripts.LEASE,
)


async def test_opening_loads_every_script(everywhere: Place) -> None:
    await everywhere.backend.open(TIMEOUT)
    assert everywhere.stored.do("SCRIPT", "EXISTS", *DIGESTS) == [True] * len(DIGESTS)


@pytest.mark.parametrize("call", ["load", "commit", "touch", "delete", "older", "lease"])
async def test_a_flushed_script_cache_heals_itself(everywhere: Place, call: str) -> None:
    backend = everywhere.backend
    await commit(backend, appends(0, b"hi"))
    everywhere.stored.do("SCRIPT", "FLUSH")
    if call == "load":
        assert values(await load(backend)) == [b"hi"]
    elif call == "commit":
        assert (await commit(backend, appends(1, b"ho"))).version == 2
    elif call == "touch":
        assert await backend.touch(KEY, TIMEOUT) > 0
    elif call == "delete":
        assert await backend.delete(KEY, TIMEOUT)
    elif call == "lease":
        assert (await backend.lease(KEY, Claim("a", 9_000), TIMEOUT)).is_granted
    else:
        assert list(await backend.older(KEY, 9, 9, TIMEOUT)) == [(1, b"hi")]


async def test_a_cache_that_is_flushed_under_a_batch_does_nothing_twice(place: Place) -> None:
    for at in range(20):
        place.stored.do("SCRIPT", "FLUSH")
        await asyncio.gather(
            *(commit(place.backend, appends(0, b"x"), f"{at}-{n}") for n in range(9))
        )
        for n in range(9):
            snapshot = await load(place.backend, key=f"{at}-{n}")
            assert (snapshot.version, values(snapshot)) == (1, [b"x"])


async def test_one_missing_script_sends_no_other_command_twice(place: Place) -> None:
    backend, stored = place.backend, place.stored
    await commit(backend, sets(a=b"1"))
    stored.do("SCRIPT", "FLUSH")
    stored.do("SCRIPT", "LOAD", scripts.SOURCES[3])
    existed, snapshot = await asyncio.gather(
        backend.delete(KEY, TIMEOUT), load(backend, key="other")
    )
    assert existed
    assert snapshot.version == 0


@pytest.mark.parametrize("existed", [True, False])
async def test_a_delete_that_comes_late_a_second_time_takes_nothing_of_what_was_stored_since(
    everywhere: Place, existed: bool
) -> None:
    backend, stored = everywhere.backend, everywhere.stored
    await backend.open(TIMEOUT)
    if existed:
        await commit(backend, appends(0, b"old"))
    head = f"tag {TTL_MS} 0 - the-id-of-it"
    delete = ("EVALSHA", scripts.DELETE, 3, HASH, LOG, TOMBSTONE, head)
    answer = [b"tag", b"existed" if existed else b"missing"]
    assert stored.do(*delete) == answer
    assert stored.do(*delete) == answer
    revival = Changes(commit_id(), 0, appended=[b"new"], revive=True)
    await commit(backend, revival)
    assert stored.do(*delete) == answer
    assert values(await load(backend)) == [b"new"]
    assert (await commit(backend, appends(1, b"more"))).version == 2
    assert stored.do(*delete) == answer
    assert values(await load(backend)) == [b"new", b"more"]
    assert await backend.delete(KEY, TIMEOUT)  # which is another one
    assert (await load(backend)).deleted


async def test_a_revival_that_comes_late_a_second_time_brings_nothing_back(
    everywhere: Place,
) -> None:
    backend = everywhere.backend
    await commit(backend, appends(0, b"old"))
    await backend.delete(KEY, TIMEOUT)
    revival = Changes(commit_id(), 0, appended=[b"new"], revive=True)
    await commit(backend, revival)
    await commit(backend, appends(1, b"more"))
    await backend.delete(KEY, TIMEOUT)
    assert (await commit(backend, revival)).status == "gone"
    assert (await load(backend)).deleted
    again = Changes(commit_id(), 0, appended=[b"again"], revive=True)
    assert (await commit(backend, again)).status == "committed"


async def test_a_script_names_every_key_that_it_touches() -> None:
    for source in scripts.SOURCES:
        assert re.search(r"KEYS\[[12]\]", source)
        assert "redis.call('KEYS'" not in source
        assert "redis.call('SCAN'" not in source


@pytest.mark.parametrize("count", [1, 1_000])
async def test_a_large_commit_lands_whole(backend: RedisBackend, count: int) -> None:
    changes = Changes(commit_id(), 0)
    changes.fields = {f"f{at}": Put(b"%d" % at) for at in range(count)}
    changes.appended = [b"%d" % at for at in range(count)]
    outcome = await commit(backend, changes)
    assert outcome.total == count
    snapshot = await load(backend, window=0)
    assert (len(snapshot.fields), len(snapshot.messages)) == (count, count)


async def test_a_large_log_is_edited_anywhere(backend: RedisBackend) -> None:
    await commit(backend, appends(0, *(b"%d" % at for at in range(500))))
    changes = Changes(commit_id(), 1)
    changes.dropped = list(range(1, 501, 7))
    changes.replaced = {seq: Put(b"new") for seq in range(2, 501, 7)}
    await commit(backend, changes)
    expected = [
        (seq, b"new" if seq % 7 == 2 else b"%d" % (seq - 1))
        for seq in range(1, 501)
        if seq % 7 != 1
    ]
    assert list((await load(backend, window=0)).messages) == expected


async def test_a_commit_from_an_old_life_finds_the_memory_of_the_new(
    backend: RedisBackend, stored: Bytes
) -> None:
    first = appends(0, b"hi")
    await commit(backend, first)
    stored.do("DEL", HASH, LOG)
    assert (await commit(backend, first)).version == 1
    assert stored.number("PTTL", HASH) <= TTL_MS
