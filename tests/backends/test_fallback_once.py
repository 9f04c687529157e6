"""What comes twice, or beside something else, is in memory once, and is retired once."""

from collections.abc import Callable

import pytest

from jv_session_mw.changes import Changes, Outcome, Put, Snapshot
from jv_session_mw.errors import StoreUnavailable
from tests.backends.harness import KEY, TIMEOUT, appends, commit, load, values
from tests.backends.outage import Process
from tests.backends.parted import resting_on


async def test_a_commit_that_is_repeated_is_in_the_copy_once(process: Process) -> None:
    await commit(process.backend, appends(0, b"hi"))
    changes = appends(1, b"ho")
    await commit(process.backend, changes)
    await load(process.backend)
    await commit(process.backend, changes)
    await process.lose()
    assert values(await load(process.backend)) == [b"hi", b"ho"]


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("base", [0, 1])
async def test_a_commit_whose_reply_was_lost_and_that_others_have_seen_is_taken_over_once(
    process: Process, new_process: Callable[[], Process], base: int, asked: bool
) -> None:
    if base:
        await commit(process.backend, appends(0, b"hi"))
    changes = appends(base, b"ho", b"ha")
    changes.fields["a"] = Put(b"1")
    await commit(new_process().backend, changes)  # it has arrived, as far as this process can know
    before = values(await load(process.backend))
    await process.lose()
    if asked:
        await load(process.backend)
    outcome = await commit(process.backend, changes)
    assert (outcome.status, outcome.version, outcome.total) == ("committed", base + 1, base + 2)
    assert outcome.first_seq == base + 1
    assert values(await load(process.backend)) == before
    assert (await commit(process.backend, appends(base + 1, b"next"))).version == base + 2
    assert values(await load(process.backend)) == [*before, b"next"]


@pytest.mark.parametrize("follows", ["here", "elsewhere"])
@pytest.mark.parametrize("base", [0, 1])
async def test_a_commit_whose_reply_was_lost_is_taken_over_once_where_another_has_followed_it(
    process: Process, new_process: Callable[[], Process], base: int, follows: str
) -> None:
    if base:
        await commit(process.backend, appends(0, b"hi"))
    elsewhere = new_process()
    changes = appends(base, b"ho")
    await commit(elsewhere.backend, changes)
    seen = await load(process.backend)
    follower = process if follows == "here" else elsewhere
    await commit(follower.backend, resting_on(seen, appends(0, b"ha")))
    before = values(await load(process.backend))
    await process.lose()
    outcome = await commit(process.backend, changes)
    assert (outcome.status, outcome.version) == ("committed", base + 1)
    assert values(await load(process.backend)) == before


async def test_two_commits_of_the_same_are_two(
    process: Process, new_process: Callable[[], Process]
) -> None:
    held = await commit(process.backend, appends(0, b"hi"))
    await commit(new_process().backend, resting_on(held, appends(0, b"yes")))
    await load(process.backend)
    await process.lose()
    await commit(process.backend, resting_on(held, appends(0, b"yes")))
    assert values(await load(process.backend)) == [b"hi", b"yes", b"yes"]


@pytest.mark.parametrize("base", [0, 1])
async def test_a_commit_that_is_answered_after_memory_has_taken_over_what_it_did_is_there_once(
    process: Process, monkeypatch: pytest.MonkeyPatch, base: int
) -> None:
    if base:
        await commit(process.backend, appends(0, b"hi"))
    write = process.guard.commit

    async def overtaken(key: str, changes: Changes, timeout: float) -> Outcome:
        outcome = await write(key, changes, timeout)
        seen = await load(process.backend)
        monkeypatch.setattr(process.guard, "commit", lost)
        await commit(process.backend, resting_on(seen, appends(0, b"he")))
        return outcome

    async def lost(key: str, changes: Changes, timeout: float) -> Outcome:
        raise StoreUnavailable("nothing comes back", reason="timeout")

    monkeypatch.setattr(process.guard, "commit", overtaken)
    outcome = await commit(process.backend, appends(base, b"ho"))
    assert (outcome.status, outcome.version) == ("committed", base + 1)
    await commit(process.backend, resting_on(outcome, appends(0, b"ha")))
    assert values(await load(process.backend)) == [*[b"hi"][:base], b"ho", b"he", b"ha"]


async def test_what_was_kept_and_is_retired_is_deleted_in_both(
    process: Process, new_process: Callable[[], Process]
) -> None:
    await commit(process.backend, appends(0, b"hi"))
    await process.lose()
    await commit(process.backend, appends(1, b"ho"))
    seen = await load(process.backend)
    await commit(process.backend, appends(2, b"he"))
    assert not await process.backend.retire(KEY, seen, TIMEOUT)
    seen = await load(process.backend)
    await process.recover()
    assert await process.backend.retire(KEY, seen, TIMEOUT)
    assert (await load(process.backend)).deleted
    assert (await load(new_process().backend)).deleted


async def test_what_is_retired_in_an_outage_stays_deleted(process: Process) -> None:
    await commit(process.backend, appends(0, b"hi"))
    seen = await load(process.backend)
    await process.lose()
    assert await process.backend.retire(KEY, seen, TIMEOUT)
    assert (await load(process.backend)).deleted
    assert (await commit(process.backend, appends(1, b"late"))).status == "gone"
    await process.recover()
    assert (await load(process.backend)).deleted


@pytest.mark.parametrize("answers", [True, False])
async def test_what_memory_takes_over_while_it_is_retired_is_not_lost_with_it(
    process: Process, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    await commit(process.backend, appends(0, b"hi"))
    seen = await load(process.backend)
    primary = process.backend._primary  # pyright: ignore[reportPrivateUsage]
    retire = primary.retire

    async def slowly(key: str, seen: Snapshot, timeout: float) -> bool:
        if answers:
            assert await retire(key, seen, timeout)
        await process.lose()
        await commit(process.backend, appends(1, b"ho"))
        if not answers:
            raise StoreUnavailable("it has gone", reason="connection")
        return True

    monkeypatch.setattr(primary, "retire", slowly)
    assert not await process.backend.retire(KEY, seen, TIMEOUT)
    assert values(await load(process.backend)) == [b"hi", b"ho"]
