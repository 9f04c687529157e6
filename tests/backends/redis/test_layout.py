"""How a conversation lies in Redis: two keys, one slot, a TTL on each, and nothing else."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.layout import key_of, read_snapshot, redis_keys, scan_pattern
from jv_session_mw.changes import Changes, Put, Rules
from jv_session_mw.keys import decode_key, encode_key
from jv_session_mw.stretch import NO_MESSAGES
from tests.backends.harness import (
    HASH,
    KEY,
    LOG,
    PREFIX,
    TIMEOUT,
    TOMBSTONE,
    TTL_MS,
    Bytes,
    appends,
    commit,
    commit_id,
    load,
    redis_backend,
    sets,
    values,
)
from tests.backends.redis.conftest import Place

HOSTILE = [
    "*", "{", "}", "}{", "{x}", ":", ":m", ":d", "~", "", "%", "a" * 10_000, "a" * 9_999 + "b",
    "\ud800", "é", "e\u0301", "?", "[a-z]", "\\", "\n", "\0", "..", "a b", "Ω", "\u2126",
]  # fmt: skip

PREFIXES = ["conv:", "", "*", "a[b]?", "app\\", "{tag}:", "c^", "ä:", "conv:conv:", "co", "ab!"]


async def create(backend: RedisBackend, key: str = KEY) -> None:
    both = Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"])
    await commit(backend, both, key)


async def test_fields_and_messages_are_a_hash_and_a_list(
    backend: RedisBackend, stored: Bytes
) -> None:
    await create(backend)
    assert stored.keys() == {HASH.encode(), LOG.encode()}
    assert (stored.do("TYPE", HASH), stored.do("TYPE", LOG)) == (b"hash", b"list")
    assert stored.do("HGET", HASH, ".a") == b"1"
    assert stored.do("LRANGE", LOG, 0, -1) == [b"1:hi"]


async def test_a_conversation_without_messages_is_one_key(
    backend: RedisBackend, stored: Bytes
) -> None:
    await commit(backend, sets(a=b"1"))
    assert stored.keys() == {HASH.encode()}


async def test_a_load_a_look_and_a_touch_of_nothing_write_nothing(
    backend: RedisBackend, stored: Bytes
) -> None:
    await load(backend)
    await backend.has(KEY, TIMEOUT)
    await backend.touch(KEY, TIMEOUT)
    await backend.older(KEY, 5, 5, TIMEOUT)
    await commit(backend, sets(1, a=b"1"))
    assert stored.keys() == set()


async def test_every_key_has_a_ttl_after_every_call(everywhere: Place) -> None:
    backend, stored = everywhere.backend, everywhere.stored

    def all_expire() -> bool:
        keys = stored.keys()
        return bool(keys) and all(0 < stored.number("PTTL", key) <= TTL_MS for key in keys)

    await commit(backend, sets(a=b"1"))
    assert all_expire()
    await commit(backend, appends(1, b"a", b"b", b"c"))
    assert all_expire()
    await commit(backend, Changes(commit_id(), 2, dropped=[1], replaced={2: Put(b"B", b"b")}))
    assert all_expire()
    await commit(backend, Changes(commit_id(), 3, removed={"a": b"1"}))
    assert all_expire()
    await backend.touch(KEY, TIMEOUT)
    await load(backend)
    assert all_expire()
    await commit(backend, Changes(commit_id(), 4, cleared=99))
    assert all_expire()
    await commit(backend, appends(5, b"again"))
    assert all_expire()
    await backend.delete(KEY, TIMEOUT)
    assert stored.keys() == {TOMBSTONE.encode()}
    assert all_expire()
    await commit(backend, Changes(commit_id(), 0, appended=[b"new"], revive=True))
    assert stored.keys() == {HASH.encode(), LOG.encode()}
    assert all_expire()


async def test_a_commit_and_a_touch_slide_the_ttl_of_both_keys(
    backend: RedisBackend, stored: Bytes
) -> None:
    await create(backend)
    for call in (backend.commit(KEY, sets(1, a=b"2"), TIMEOUT), backend.touch(KEY, TIMEOUT)):
        for key in (HASH, LOG):
            stored.do("PEXPIRE", key, 20_000)
        await call
        assert all(stored.number("PTTL", key) > 30_000 for key in (HASH, LOG))


async def test_both_keys_end_with_the_lifetime(place: Place) -> None:
    backend = redis_backend(place.server, Rules(TTL_MS, lifetime_ms=30_000))
    await create(backend)
    await backend.touch(KEY, TIMEOUT)
    await commit(backend, appends(1, b"ho"))
    assert all(0 < place.stored.number("PTTL", key) <= 30_000 for key in (HASH, LOG))
    await backend.close()


async def test_all_keys_of_a_conversation_are_in_one_slot(stored: Bytes) -> None:
    for id in HOSTILE:
        names = redis_keys(PREFIX, encode_key(id, "owner"))
        assert len({stored.number("CLUSTER", "KEYSLOT", name) for name in names}) == 1


async def test_hostile_ids_are_stored_side_by_side(backend: RedisBackend, stored: Bytes) -> None:
    keys = [encode_key(id, owner) for id in HOSTILE for owner in (None, "*", "")]
    for at, key in enumerate(keys):
        await commit(backend, appends(0, b"%d" % at), key)
    for at, key in enumerate(keys):
        assert values(await load(backend, key=key)) == [b"%d" % at]
    assert sorted(await backend.keys(TIMEOUT)) == sorted(keys)
    assert len(stored.keys()) == 2 * len(keys)


ids = st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=20)


@given(ids, ids)
def test_no_two_ids_share_any_redis_key(one: str, other: str) -> None:
    mine, theirs = (set(redis_keys(PREFIX, encode_key(id))) for id in (one, other))
    assert len(mine) == 3
    assert mine.isdisjoint(theirs) == (one != other)


@given(ids)
def test_an_id_of_any_letters_is_read_back_from_its_redis_key(id: str) -> None:
    hash_key, _, _ = redis_keys(PREFIX, encode_key(id))
    key = key_of(PREFIX, hash_key.encode())
    assert key == encode_key(id)
    assert key is not None
    if len(id.encode("utf-8", "surrogatepass")) <= 200:
        assert decode_key(key) == (id, None)


async def test_a_scan_finds_what_has_the_prefix_and_nothing_else(place: Place) -> None:
    found: dict[str, list[str]] = {}
    backends = {prefix: redis_backend(place.server, prefix=prefix) for prefix in PREFIXES}
    for prefix, backend in backends.items():
        await create(backend, encode_key(prefix))
    for prefix, backend in backends.items():
        found[prefix] = await backend.keys(TIMEOUT)
        await backend.close()
    assert found == {prefix: [encode_key(prefix)] for prefix in PREFIXES}


async def test_a_scan_passes_over_foreign_keys(backend: RedisBackend, stored: Bytes) -> None:
    await create(backend)
    for foreign in (b"conv:{\xff\xfe}", b"conv:x", b"conv:{a}:lock", b"other:{a}"):
        stored.do("SET", foreign, "1")
    await backend.delete("deleted", TIMEOUT)
    assert KEY in await backend.keys(TIMEOUT)


async def test_a_scan_of_many_finds_each_once(backend: RedisBackend, stored: Bytes) -> None:
    for at in range(1_500):
        stored.do("HSET", f"conv:{{{at}}}", "@", "2")
    found = await backend.keys(TIMEOUT)
    assert sorted(found) == sorted(str(at) for at in range(1_500))


def test_signs_of_a_glob_are_escaped_in_the_prefix() -> None:
    assert scan_pattern("a*[?]\\^b") == "a\\*\\[\\?\\]\\\\\\^b{*}"


def test_the_names_of_many_fields_are_not_remembered() -> None:
    tracemalloc.start()
    for at in range(20):
        pairs = [part for field in range(1_000) for part in (b".%d of %d" % (field, at), b"j1;1")]
        snapshot = read_snapshot(
            (b"tag", b"found", 1, 0, 1, 1, b"birth", b"commit", 1, pairs, []), NO_MESSAGES
        )
        assert snapshot.fields[f"7 of {at}"] == b"j1;1"
        del pairs, snapshot
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000  # with their names it would be two megabytes
