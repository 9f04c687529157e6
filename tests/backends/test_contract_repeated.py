"""A commit that comes again, because its reply was lost, counts once."""

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import Changes, Put
from tests.backends.harness import Subject, appends, commit, commit_id, load, puts, sets, values


async def test_a_commit_that_is_repeated_changes_nothing(backend: Backend) -> None:
    changes = Changes(commit_id(), 0, fields={"a": Put(b"1")}, appended=[b"hi"])
    first = await commit(backend, changes)
    repeated = await commit(backend, changes)
    assert (repeated.status, repeated.version, repeated.first_seq) == (
        "committed", 1, first.first_seq,
    )  # fmt: skip
    assert values(await load(backend)) == [b"hi"]


async def test_a_commit_is_known_for_seven_more(backend: Backend) -> None:
    remembered = appends(0, b"once")
    await commit(backend, remembered)
    for at in range(7):
        await commit(backend, sets(1, a=b"%d" % at))
    assert (await commit(backend, remembered)).version == 1
    assert values(await load(backend)) == [b"once"]


async def test_the_newest_commit_is_known_however_many_there_were(backend: Backend) -> None:
    for at in range(12):
        newest = appends(0, b"%d" % at)
        outcome = await commit(backend, newest)
        repeated = await commit(backend, newest)
        assert (repeated.version, repeated.first_seq) == (outcome.version, outcome.first_seq)
    assert len(values(await load(backend))) == 12


async def test_a_load_names_the_last_commit(backend: Backend) -> None:
    await commit(backend, appends(0, b"one", b"two"))
    for changes in (appends(1, b"three", b"four"), sets(2, a=b"1")):
        outcome = await commit(backend, changes)
        for _ in range(2):  # also where the messages need not be sent again
            found = await load(backend)
            assert (found.commit_id, found.first_seq) == (changes.commit_id, outcome.first_seq)


async def test_a_rejected_commit_may_come_again(subject: Subject) -> None:
    backend = subject.make(reject=True)
    await commit(backend, sets(0, a=b"1"))
    await commit(backend, puts(1, a=(b"1", b"2")))
    late = puts(1, a=(b"1", b"3"))
    assert (await commit(backend, late)).status == "conflict"
    late.fields["a"] = Put(b"3", b"2")
    assert (await commit(backend, late)).status == "committed"
