"""What an edit of the log costs the server: it is as quick in a long log as in a short one."""

from typing import cast

import pytest
from redis import Redis

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.changes import Changes
from tests.backends.harness import LOG, Bytes, appends, commit, commit_id, load
from tests.backends.redis.conftest import Place

SIZE = 2_000
FEW = 60  # for everything that a commit asks, and twice eleven steps to find a place


def commands(stored: Bytes) -> int:
    return cast("dict[str, int]", stored.do("INFO", "stats"))["total_commands_processed"]


async def spent(backend: RedisBackend, stored: Bytes, changes: Changes) -> int:
    """Return how many commands the server was given, by its scripts too, for a commit."""
    await commit(backend, appends(0, *(b"%d" % at for at in range(SIZE))))
    before = commands(stored)
    await commit(backend, changes)
    return commands(stored) - before


@pytest.mark.parametrize("left", [0, 1, 50, SIZE - 1])
async def test_a_clear_takes_few_commands_however_much_it_clears(
    backend: RedisBackend, stored: Bytes, left: int
) -> None:
    clear = Changes(commit_id(), 1, cleared=SIZE - left)
    assert await spent(backend, stored, clear) < FEW
    snapshot = await load(backend, window=0)
    assert list(snapshot.messages.numbers) == list(range(SIZE - left + 1, SIZE + 1))
    assert snapshot.total == left


@pytest.mark.parametrize(("number", "end"), [(1, "1"), (3, "1"), (SIZE, "-1")])
async def test_what_is_dropped_is_looked_for_from_the_end_that_is_nearer(
    place: Place, number: int, end: str
) -> None:
    drop = Changes(commit_id(), 1, dropped=[number])
    with Redis(port=place.server.port, protocol=2).monitor() as monitor:  # type: ignore[no-untyped-call]
        assert await spent(place.backend, place.stored, drop) < FEW
        words = [""]
        while words[0] != "LREM":
            words = cast("dict[str, str]", monitor.next_command())["command"].split(" ")
    assert words[1:3] == [LOG, end]
    assert (await load(place.backend, window=0)).total == SIZE - 1
