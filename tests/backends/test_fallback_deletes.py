"""What is deleted stays deleted whatever comes in between, and what is not deleted stays."""

import pytest

from jv_session_mw.changes import MISSING, Changes, Outcome, Snapshot
from jv_session_mw.errors import StoreUnavailable
from tests.backends.harness import KEY, TIMEOUT, appends, commit, load, values
from tests.backends.outage import Process
from tests.backends.parted import Parted, both, turn


async def assert_deleted_in_an_outage(process: Process) -> None:
    await process.lose()
    assert (await load(process.backend)).deleted
    assert (await commit(process.backend, appends(1, b"late"))).status == "gone"


@pytest.mark.parametrize("answers", [True, False])
async def test_a_load_that_is_answered_before_a_delete_leaves_no_copy(
    process: Process, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    await commit(process.backend, appends(0, b"hi"))
    delete = process.guard.delete

    async def after_a_load(key: str, timeout: float) -> bool:
        await load(process.backend)
        if not answers:
            raise StoreUnavailable("it has gone", reason="connection")
        return await delete(key, timeout)

    monkeypatch.setattr(process.guard, "delete", after_a_load)
    assert await process.backend.delete(KEY, TIMEOUT)
    await assert_deleted_in_an_outage(process)


async def test_a_load_beside_a_delete_that_is_replayed_leaves_no_copy(
    parted: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await turn(parted, b"hi")

    async def lost_after_a_load(key: str, timeout: float) -> bool:
        await load(parted.here)
        raise StoreUnavailable("it has gone", reason="connection")

    with monkeypatch.context() as patch:
        patch.setattr(parted.guard, "delete", lost_after_a_load)
        assert await parted.here.delete(KEY, TIMEOUT)
    await parted.join()
    await parted.part()
    assert (await load(parted.here)).deleted


async def test_a_load_whose_reply_a_delete_has_overtaken_leaves_no_copy(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(process.backend, appends(0, b"hi"))
    ask = process.guard.load

    async def before_a_delete(
        key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        snapshot = await ask(key, window, timeout, known)
        await process.backend.delete(key, timeout)
        return snapshot

    with monkeypatch.context() as patch:
        patch.setattr(process.guard, "load", before_a_delete)
        assert values(await load(process.backend)) == [b"hi"]
    await assert_deleted_in_an_outage(process)


async def test_a_commit_whose_reply_a_delete_has_overtaken_leaves_no_copy(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = process.guard.commit

    async def before_a_delete(key: str, changes: Changes, timeout: float) -> Outcome:
        outcome = await write(key, changes, timeout)
        await process.backend.delete(key, timeout)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(process.guard, "commit", before_a_delete)
        assert (await commit(process.backend, appends(0, b"hi"))).status == "committed"
    await assert_deleted_in_an_outage(process)


async def test_what_changed_since_it_was_seen_is_not_retired_in_an_outage(
    process: Process,
) -> None:
    await commit(process.backend, appends(0, b"hi"))
    seen = await load(process.backend)
    await commit(process.backend, appends(1, b"ho"))
    await process.lose()
    assert not await process.backend.retire(KEY, seen, TIMEOUT)
    assert values(await load(process.backend)) == [b"hi", b"ho"]


@pytest.mark.parametrize("before", [True, False])
async def test_what_was_revived_in_an_outage_and_is_replayed_is_no_more_deleted_in_the_next(
    parted: Parted, before: bool
) -> None:
    await turn(parted, b"old")
    if before:
        assert await parted.here.delete(KEY, TIMEOUT)
    await parted.part()
    if not before:
        assert await parted.here.delete(KEY, TIMEOUT)
    anew = appends(0, b"new")
    anew.revive = True
    assert (await commit(parted.here, anew)).status == "committed"
    await parted.join()
    await parted.part()
    assert (await turn(parted, b"more")).status == "committed"
    await parted.join()
    assert values(await both(parted)) == [b"new", b"more"]
