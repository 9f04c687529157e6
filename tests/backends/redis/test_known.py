"""What a load does not send again, and what it looks at all the same."""

import pytest

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.changes import MISSING, Snapshot
from jv_session_mw.errors import UnreadableConversation
from tests.backends.harness import HASH, KEY, LOG, TIMEOUT, Bytes, appends, commit, load, values

WINDOW = 5
LONG = [b"%d" % at * 400 for at in range(9)]


async def again(backend: RedisBackend, known: Snapshot) -> Snapshot:
    return await backend.load(KEY, WINDOW, TIMEOUT, known)


async def test_the_server_sends_only_the_ends_of_what_is_known(
    backend: RedisBackend, stored: Bytes
) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)

    async def received(what: Snapshot) -> int:
        before = _sent(stored)
        await again(backend, what)
        return _sent(stored) - before

    whole, ends = await received(MISSING), await received(known)
    assert whole - ends > (WINDOW - 3) * len(LONG[0])


@pytest.mark.parametrize(
    "damage",
    [("LSET", LOG, -1, "garbage"), ("LSET", LOG, -WINDOW, "garbage"), ("RPUSH", LOG, "garbage")],
)
async def test_damage_is_seen_by_who_knows_the_log(
    backend: RedisBackend, stored: Bytes, damage: tuple[str | int, ...]
) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)
    stored.do(*damage)
    with pytest.raises(UnreadableConversation):
        await again(backend, known)


async def test_another_commit_of_the_same_number_is_told_by_its_id(
    backend: RedisBackend, stored: Bytes
) -> None:
    """As others make it after a failover that has lost what was known here."""
    await commit(backend, appends(0, *LONG))
    for key in (HASH, LOG):
        stored.do("COPY", key, f"{key}:before")
    await commit(backend, appends(1, b"to Alice", b"done"))
    known = await load(backend, window=WINDOW)
    for key in (HASH, LOG):
        stored.do("COPY", f"{key}:before", key, "REPLACE")
    await commit(backend, appends(1, b"to Bob", b"done"))
    assert values(await again(backend, known))[-2:] == [b"to Bob", b"done"]


async def test_fields_and_meta_are_read_whatever_is_known(
    backend: RedisBackend, stored: Bytes
) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)
    stored.do("HSET", HASH, ".by hand", "1")
    assert (await again(backend, known)).fields == {"by hand": b"1"}


def _sent(stored: Bytes) -> int:
    info = stored.do("INFO", "stats")
    assert isinstance(info, dict)
    return int(info["total_net_output_bytes"])  # pyright: ignore[reportUnknownArgumentType]
