"""What every backend promises about the life and the end of a conversation."""

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import DELETED, GONE, MISSING, Changes, Put
from tests.backends.harness import (
    KEY,
    TIMEOUT,
    TTL_MS,
    Subject,
    appends,
    commit,
    commit_id,
    load,
    sets,
    values,
)

SOON_MS = 15_000  # more than a test takes, less than what it tells apart


def is_about(ttl_ms: int, expected_ms: int) -> bool:
    return expected_ms - SOON_MS < ttl_ms <= expected_ms


async def test_a_commit_starts_the_ttl(backend: Backend) -> None:
    assert is_about((await commit(backend, sets(a=b"1"))).ttl_ms, TTL_MS)
    assert is_about((await load(backend)).ttl_ms, TTL_MS)


async def test_a_commit_slides_the_ttl_of_fields_and_messages(subject: Subject) -> None:
    backend = subject.make()
    await commit(backend, appends(0, b"hi"))
    for version in (1, 2):
        subject.age(40)
        assert is_about((await commit(backend, sets(version, a=b"1"))).ttl_ms, TTL_MS)
    snapshot = await load(backend)
    assert (values(snapshot), is_about(snapshot.ttl_ms, TTL_MS)) == ([b"hi"], True)


async def test_a_load_does_not_slide_the_ttl(subject: Subject) -> None:
    backend = subject.make()
    await commit(backend, sets(a=b"1"))
    subject.age(30)
    await load(backend)
    assert is_about((await load(backend)).ttl_ms, TTL_MS - 30_000)


async def test_a_touch_slides_the_ttl_and_nothing_else(subject: Subject) -> None:
    backend = subject.make()
    await commit(backend, Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"]))
    subject.age(40)
    assert is_about(await backend.touch(KEY, TIMEOUT), TTL_MS)
    subject.age(40)
    snapshot = await load(backend)
    assert (snapshot.version, snapshot.fields, values(snapshot)) == (1, {"a": b"1"}, [b"hi"])


async def test_a_touch_of_nothing_makes_nothing(backend: Backend) -> None:
    assert await backend.touch(KEY, TIMEOUT) == 0
    assert await load(backend) == MISSING


async def test_what_expires_is_missing(subject: Subject) -> None:
    backend = subject.make()
    await commit(backend, appends(0, b"hi"))
    subject.age(TTL_MS / 1000)
    assert await load(backend) == MISSING
    assert not await backend.has(KEY, TIMEOUT)
    assert await backend.keys(TIMEOUT) == []
    assert await backend.touch(KEY, TIMEOUT) == 0


async def test_what_expired_is_not_recreated_by_an_update(subject: Subject) -> None:
    backend = subject.make()
    await commit(backend, appends(0, b"hi"))
    subject.age(TTL_MS / 1000)
    assert await commit(backend, appends(1, b"late")) == GONE
    assert await load(backend) == MISSING


async def test_the_lifetime_caps_the_ttl(subject: Subject) -> None:
    backend = subject.make(lifetime_ms=90_000)
    assert is_about((await commit(backend, sets(a=b"1"))).ttl_ms, TTL_MS)
    subject.age(50)
    assert is_about((await commit(backend, sets(1, a=b"2"))).ttl_ms, 40_000)
    assert is_about(await backend.touch(KEY, TIMEOUT), 40_000)
    assert is_about((await load(backend)).ttl_ms, 40_000)


async def test_nothing_outlives_the_lifetime(subject: Subject) -> None:
    backend = subject.make(lifetime_ms=90_000)
    await commit(backend, sets(a=b"1"))
    for _ in range(2):
        subject.age(45)
        await backend.touch(KEY, TIMEOUT)
    assert await commit(backend, sets(1, a=b"2")) == GONE
    assert await load(backend) == MISSING


async def test_a_delete_says_whether_there_was_one(backend: Backend) -> None:
    await commit(backend, sets(a=b"1"))
    assert await backend.delete(KEY, TIMEOUT)
    assert not await backend.delete(KEY, TIMEOUT)
    assert not await backend.has(KEY, TIMEOUT)
    assert await backend.keys(TIMEOUT) == []


async def test_what_is_as_it_was_seen_is_retired_once(backend: Backend) -> None:
    await commit(backend, appends(0, b"hi"))
    seen = await load(backend)
    assert await backend.retire(KEY, seen, TIMEOUT)
    assert await load(backend) == DELETED
    assert not await backend.retire(KEY, seen, TIMEOUT)
    assert await commit(backend, appends(1, b"late")) == GONE


async def test_what_has_changed_since_it_was_seen_is_not_retired(backend: Backend) -> None:
    await commit(backend, appends(0, b"hi"))
    seen = await load(backend)
    await commit(backend, appends(1, b"ho"))
    assert not await backend.retire(KEY, seen, TIMEOUT)
    assert values(await load(backend)) == [b"hi", b"ho"]
    assert (await commit(backend, appends(2, b"again"))).status == "committed"


async def test_another_of_the_same_version_is_not_retired(backend: Backend) -> None:
    await commit(backend, appends(0, b"hi"))
    seen = await load(backend)
    await backend.delete(KEY, TIMEOUT)
    await commit(backend, Changes(commit_id(), 0, appended=[b"revived"], revive=True))
    assert not await backend.retire(KEY, seen, TIMEOUT)
    assert values(await load(backend)) == [b"revived"]


async def test_a_load_of_what_was_deleted_says_so(backend: Backend) -> None:
    await commit(backend, appends(0, b"hi"))
    await backend.delete(KEY, TIMEOUT)
    assert await load(backend) == DELETED


async def test_no_commit_brings_back_what_was_deleted(backend: Backend) -> None:
    await commit(backend, sets(a=b"1"))
    await backend.delete(KEY, TIMEOUT)
    assert await commit(backend, sets(1, a=b"2")) == GONE
    assert await commit(backend, sets(0, a=b"2")) == GONE
    assert await backend.touch(KEY, TIMEOUT) == 0
    assert await load(backend) == DELETED


async def test_what_was_deleted_before_it_was_stored_is_not_stored(backend: Backend) -> None:
    await backend.delete(KEY, TIMEOUT)
    assert await commit(backend, sets(a=b"1")) == GONE


async def test_no_update_recreates_what_is_not_there(backend: Backend) -> None:
    assert await commit(backend, sets(1, a=b"1")) == GONE
    assert await load(backend) == MISSING
    assert await backend.keys(TIMEOUT) == []


async def test_a_tombstone_stands_for_one_ttl(subject: Subject) -> None:
    backend = subject.make()
    await commit(backend, sets(a=b"1"))
    await backend.delete(KEY, TIMEOUT)
    subject.age(TTL_MS / 1000 - 20)
    assert await load(backend) == DELETED
    subject.age(20)
    assert await load(backend) == MISSING
    assert (await commit(backend, sets(a=b"1"))).status == "committed"


async def test_a_revival_begins_anew(backend: Backend) -> None:
    await commit(backend, Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"]))
    await backend.delete(KEY, TIMEOUT)
    revival = Changes(commit_id(), 0, fields={"b": Put(b"2")}, revive=True)
    outcome = await commit(backend, revival)
    assert (outcome.status, outcome.version) == ("committed", 1)
    snapshot = await load(backend)
    assert (snapshot.fields, len(snapshot.messages), snapshot.deleted) == ({"b": b"2"}, 0, False)


async def test_a_repeated_revival_changes_nothing(backend: Backend) -> None:
    await backend.delete(KEY, TIMEOUT)
    revival = Changes(commit_id(), 0, appended=[b"hi"], revive=True)
    await commit(backend, revival)
    assert (await commit(backend, revival)).version == 1
    assert values(await load(backend)) == [b"hi"]


async def test_a_commit_that_rests_on_a_deleted_one_does_not_join_the_revived(
    backend: Backend,
) -> None:
    birth = (await commit(backend, sets(a=b"1"))).birth
    assert birth
    assert (await load(backend)).birth == birth
    await backend.delete(KEY, TIMEOUT)
    revived = await commit(backend, Changes(commit_id(), 0, fields={"a": Put(b"2")}, revive=True))
    assert revived.birth not in ("", birth)
    late = appends(1, b"of the deleted one")
    late.birth = birth
    assert await commit(backend, late) == GONE
    assert values(await load(backend)) == []


async def test_the_birth_of_a_conversation_stays(backend: Backend) -> None:
    births = {(await commit(backend, sets(at, a=b"%d" % at))).birth for at in range(4)}
    assert births == {(await load(backend)).birth}


async def test_a_backend_that_was_closed_opens_again(backend: Backend) -> None:
    await backend.open(TIMEOUT)
    await backend.ping(TIMEOUT)
    await backend.close()
    await backend.close()
    await backend.ping(TIMEOUT)
    assert not backend.condition().degraded
