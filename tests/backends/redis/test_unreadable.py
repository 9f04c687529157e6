"""What cannot be read fails loudly and stays as it is, byte for byte."""

import contextlib

import pytest

from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.changes import Changes, Put
from jv_session_mw.errors import UnreadableConversation
from tests.backends.harness import (
    BIRTH,
    COMMIT,
    CREATED,
    DIES,
    HASH,
    KEY,
    LAYOUT,
    LOG,
    NEXT,
    TIMEOUT,
    VERSION,
    Bytes,
    appends,
    commit,
    commit_id,
    load,
    sets,
)
from tests.backends.redis.conftest import Place

MAKERS: dict[str, tuple[str, ...]] = {
    "string": ("SET", "value"),
    "list": ("RPUSH", "a", "b"),
    "set": ("SADD", "a"),
    "zset": ("ZADD", "1", "a"),
    "hash": ("HSET", "a", "1"),
    "stream": ("XADD", "1-1", "a", "1"),
}
NO_NUMBERS = (b"", b"abc", b"\xff\xfe", b"1.5", b"-1", b"1e3", b"0x1f", b" 1", b"inf", b"9" * 400)
CORRUPT = [
    *((word, value) for word in (VERSION, CREATED, NEXT, DIES) for value in NO_NUMBERS),
    *((LAYOUT, value) for value in (b"", b"0", b"1", b"20", b"2 ", b"\xff")),
    *((BIRTH, value) for value in (b"", b"a b", b"\xff", b"=")),
    *((COMMIT, value) for value in (b"garbage", b"\xff\xfe", b"a=b,c", b"a=1", b"{}")),
]
ELEMENTS = [
    b"", b"1", b":x", b"-1:x", b"1.5:x", b" 1:x", b"1_0:x", b"\xff:x", b"\xb2:x", b"x:1",
    b'{"role": "user"}', b"9" * 5_000 + b":x",
]  # fmt: skip


def make(stored: Bytes, kind: str, key: str) -> None:
    command, *rest = MAKERS[kind]
    stored.do(command, key, *rest)


async def expect_unreadable(backend: RedisBackend, changes: Changes) -> None:
    with pytest.raises(UnreadableConversation):
        await commit(backend, changes)


async def create(backend: RedisBackend) -> None:
    await commit(backend, Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"]))


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_foreign_hash_or_another_type_in_place_of_the_hash_stays(
    everywhere: Place, kind: str
) -> None:
    backend, stored = everywhere.backend, everywhere.stored
    make(stored, kind, HASH)
    before = stored.everything()
    with pytest.raises(UnreadableConversation):
        await load(backend)
    await expect_unreadable(backend, sets(a=b"1"))
    await expect_unreadable(backend, sets(1, a=b"1"))
    assert await backend.touch(KEY, TIMEOUT) == 0
    assert stored.everything() == before
    assert stored.number("PTTL", HASH) == -1


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "list"])
async def test_another_type_in_place_of_the_list_stays(everywhere: Place, kind: str) -> None:
    backend, stored = everywhere.backend, everywhere.stored
    await commit(backend, sets(a=b"1"))
    make(stored, kind, LOG)
    before = stored.everything()
    with pytest.raises(UnreadableConversation):
        await load(backend)
    with pytest.raises(UnreadableConversation):
        await backend.older(KEY, 10, 10, TIMEOUT)
    await expect_unreadable(backend, appends(1, b"hi"))
    await expect_unreadable(backend, sets(1, a=b"2"))
    assert stored.everything() == before
    assert stored.number("PTTL", LOG) == -1


@pytest.mark.parametrize("kind", ["string", "hash"])
async def test_a_touch_gives_no_ttl_to_what_is_not_ours(everywhere: Place, kind: str) -> None:
    await commit(everywhere.backend, sets(a=b"1"))
    make(everywhere.stored, kind, LOG)
    await everywhere.backend.touch(KEY, TIMEOUT)
    assert everywhere.stored.number("PTTL", LOG) == -1


@pytest.mark.parametrize(("word", "value"), CORRUPT)
async def test_a_commit_leaves_corrupt_meta_as_it_is(
    backend: RedisBackend, stored: Bytes, word: int, value: bytes
) -> None:
    await create(backend)
    stored.set_meta(word, value)
    before = stored.everything()
    await expect_unreadable(backend, sets(1, a=b"2"))
    await expect_unreadable(backend, appends(0, b"ho"))
    assert stored.everything() == before


@pytest.mark.parametrize("count", [3, 60])  # fewer and more than are all looked at
@pytest.mark.parametrize("value", [b"garbage", b"\xff\xfe", b"a=b,c", b"a=1,2,3x"])
async def test_corrupt_commits_are_unreadable_and_stay_as_they_are(
    backend: RedisBackend, stored: Bytes, count: int, value: bytes
) -> None:
    for _ in range(count):
        await commit(backend, appends(0, b"hi"))
    stored.set_meta(-1, value)
    before = stored.everything()
    with pytest.raises(UnreadableConversation):
        await load(backend)
    await expect_unreadable(backend, appends(0, b"ho"))
    assert stored.everything() == before


async def test_a_log_without_its_hash_does_not_come_back_with_a_revival(
    backend: RedisBackend, stored: Bytes
) -> None:
    await create(backend)
    stored.do("DEL", HASH)  # as an evicting server does
    revived = await commit(backend, Changes(commit_id(), 0, fields={"a": Put(b"1")}, revive=True))
    assert (revived.version, revived.total) == (1, 0)
    assert not (await load(backend)).messages


@pytest.mark.parametrize(("word", "value"), CORRUPT)
async def test_a_load_of_corrupt_meta_fails_and_writes_nothing(
    backend: RedisBackend, stored: Bytes, word: int, value: bytes
) -> None:
    await create(backend)
    stored.set_meta(word, value)
    before = stored.everything()
    with pytest.raises(UnreadableConversation):
        await load(backend)
    assert stored.everything() == before


@pytest.mark.parametrize("word", [None, *range(COMMIT + 1)])
async def test_meta_that_is_lost_is_not_made_up(
    backend: RedisBackend, stored: Bytes, word: int | None
) -> None:
    await create(backend)
    if word is None:
        stored.do("HDEL", HASH, "@")
    else:
        words = stored.meta()
        del words[word]
        stored.do("HSET", HASH, "@", b" ".join(words))
    before = stored.everything()
    await expect_unreadable(backend, sets(1, a=b"2"))
    with pytest.raises(UnreadableConversation):
        await load(backend)
    assert stored.everything() == before


async def test_a_field_whose_name_is_not_text_stays(backend: RedisBackend, stored: Bytes) -> None:
    await create(backend)
    stored.do("HSET", HASH, b".\xff\xfe", b"1")
    with pytest.raises(UnreadableConversation) as unreadable:
        await load(backend)
    assert isinstance(unreadable.value.__cause__, UnicodeDecodeError)
    await commit(backend, sets(1, b=b"2"))
    assert stored.do("HGET", HASH, b".\xff\xfe") == b"1"


async def test_a_hash_field_that_is_not_ours_is_kept(backend: RedisBackend, stored: Bytes) -> None:
    await create(backend)
    stored.do("HSET", HASH, "theirs", b"1", "@lease", b"2")
    assert (await load(backend)).fields == {"a": b"1"}
    await commit(backend, sets(1, theirs=b"2"))
    assert stored.do("HMGET", HASH, "theirs", "@lease") == [b"1", b"2"]


@pytest.mark.parametrize("element", ELEMENTS)
async def test_a_foreign_message_is_unreadable_and_stays(
    backend: RedisBackend, stored: Bytes, element: bytes
) -> None:
    await create(backend)
    stored.do("RPUSH", LOG, element)
    before = stored.everything()
    with pytest.raises(UnreadableConversation):
        await load(backend)
    with pytest.raises(UnreadableConversation):
        await backend.older(KEY, 2**53, 10, TIMEOUT)
    assert stored.everything() == before


@pytest.mark.parametrize("element", ELEMENTS)
async def test_no_edit_of_the_log_removes_a_foreign_message(
    backend: RedisBackend, stored: Bytes, element: bytes
) -> None:
    await create(backend)
    await commit(backend, appends(1, b"ho", b"hu"))
    stored.do("LPUSH", LOG, element)
    changes = appends(1, b"new")
    changes.replaced[2] = Put(b"HO", b"ho")
    changes.dropped.append(3)
    changes.cleared = 1
    with contextlib.suppress(UnreadableConversation):
        await commit(backend, changes)
    assert stored.do("LINDEX", LOG, 0) == element


async def test_a_log_without_its_hash_joins_no_new_conversation(
    backend: RedisBackend, stored: Bytes
) -> None:
    await create(backend)
    stored.do("DEL", HASH)
    before = stored.everything()
    assert (await load(backend)).deleted
    assert (await commit(backend, sets(a=b"1"))).status == "gone"
    assert stored.everything() == before


async def test_a_log_without_its_hash_makes_room_for_a_revival(
    backend: RedisBackend, stored: Bytes
) -> None:
    await create(backend)
    stored.do("DEL", HASH)
    revival = Changes(commit_id(), 0, appended=[b"new"], revive=True)
    assert (await commit(backend, revival)).status == "committed"
    snapshot = await load(backend)
    assert list(snapshot.messages.values) == [b"new"]
