"""A load need not bring again what the caller has, and is the same load all the same."""

import pytest

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import Changes, Put, Snapshot
from tests.backends.harness import KEY, TIMEOUT, appends, commit, commit_id, load, same, values

WINDOW = 5
LONG = [b"%d" % at * 400 for at in range(9)]


async def again(backend: Backend, known: Snapshot, window: int = WINDOW) -> Snapshot:
    return await backend.load(KEY, window, TIMEOUT, known)


async def test_a_load_of_what_is_known_is_the_same_load(backend: Backend) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)
    assert values(known) == LONG[-WINDOW:]
    assert same(await again(backend, known), known)
    await commit(backend, appends(1, b"new"))
    assert values(await again(backend, known)) == [*LONG[1 - WINDOW :], b"new"]


@pytest.mark.parametrize("window", [0, 1, 3, WINDOW, 8, 50])
async def test_what_is_known_of_another_window_is_no_answer(backend: Backend, window: int) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)
    assert values(await again(backend, known, window)) == LONG[-window:]


async def test_what_is_known_of_an_earlier_conversation_is_no_answer(backend: Backend) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)
    await backend.delete(KEY, TIMEOUT)
    assert (await again(backend, known)).deleted
    # As long, of the same version, and with the same ends.
    other = [*LONG[:-2], b"other", LONG[-1]]
    await commit(backend, Changes(commit_id(), 0, appended=other, revive=True))
    assert values(await again(backend, known)) == other[-WINDOW:]


async def test_a_message_that_was_replaced_meanwhile_is_brought(backend: Backend) -> None:
    await commit(backend, appends(0, *LONG))
    known = await load(backend, window=WINDOW)
    number = known.messages.numbers[-2]
    await commit(backend, Changes(commit_id(), 1, replaced={number: Put(b"new", LONG[-2])}))
    assert values(await again(backend, known)) == [*LONG[-WINDOW:-2], b"new", LONG[-1]]
