"""The lease of a turn: held by one, lost to a later one, and whose commits are then refused."""

from typing import cast

import pytest

from jv_session_mw.backends.base import Backend
from jv_session_mw.backends.redis.layout import turn_key
from jv_session_mw.changes import Changes
from jv_session_mw.errors import UnreadableConversation
from jv_session_mw.lease import Claim, Lease
from tests.backends.harness import (
    HASH,
    KEY,
    PREFIX,
    TIMEOUT,
    TTL_MS,
    Bytes,
    appends,
    commit,
    load,
    values,
)
from tests.backends.redis.conftest import Place

TURN = turn_key(PREFIX, KEY)
LONG = 2 * TTL_MS
REFUSED = Lease(is_granted=False)


async def claim(backend: Backend, holder: str, fence: int = 0, ms: int = LONG) -> Lease:
    return await backend.lease(KEY, Claim(holder, ms, fence), TIMEOUT)


async def give_back(backend: Backend, holder: str) -> Lease:
    return await claim(backend, holder, ms=0)


def end_lease(stored: Bytes) -> None:
    """Let the time of the lease go by."""
    record = stored.do("GET", TURN)
    assert isinstance(record, bytes)
    fence, holder, _ = record.split()
    stored.do("SET", TURN, b"%b %b 1" % (fence, holder))


def fenced(fence: int, base_version: int = 0, *messages: bytes) -> Changes:
    changes = appends(base_version, *messages)
    changes.fence = fence
    return changes


async def test_a_turn_is_given_to_one_until_it_is_given_back(everywhere: Place) -> None:
    backend = everywhere.backend
    first = await claim(backend, "a")
    assert first.is_granted
    assert await claim(backend, "b") == REFUSED
    assert (await give_back(backend, "a")).is_granted
    second = await claim(backend, "b")
    assert second.is_granted
    assert second.fence > first.fence > 0


async def test_turns_of_other_conversations_do_not_wait_for_each_other(place: Place) -> None:
    assert (await claim(place.backend, "a")).is_granted
    assert (await place.backend.lease("other", Claim("b", LONG), TIMEOUT)).is_granted


async def test_a_claim_that_is_made_again_prolongs_the_lease_with_its_fence(place: Place) -> None:
    first = await claim(place.backend, "a", ms=1)
    again = await claim(place.backend, "a", first.fence)
    assert again == first
    assert await claim(place.backend, "b") == REFUSED


async def test_a_lease_whose_time_is_over_goes_to_the_next(everywhere: Place) -> None:
    backend = everywhere.backend
    first = await claim(backend, "a")
    end_lease(everywhere.stored)
    second = await claim(backend, "b")
    assert second.is_granted
    assert second.fence > first.fence
    assert await claim(backend, "a", first.fence) == REFUSED
    assert not (await give_back(backend, "a")).is_granted
    assert await claim(backend, "c") == REFUSED


async def test_a_lease_whose_time_is_over_is_prolonged_if_nobody_else_came(place: Place) -> None:
    first = await claim(place.backend, "a")
    end_lease(place.stored)
    assert await claim(place.backend, "a", first.fence) == first


async def test_a_lease_is_not_prolonged_once_a_later_turn_has_come_and_gone(place: Place) -> None:
    first = await claim(place.backend, "a")
    end_lease(place.stored)
    await claim(place.backend, "b")
    await give_back(place.backend, "b")
    assert await claim(place.backend, "a", first.fence) == REFUSED


async def test_a_claim_that_comes_a_second_time_after_its_turn_holds_up_nobody(
    place: Place,
) -> None:
    await claim(place.backend, "a")
    await give_back(place.backend, "a")
    assert await claim(place.backend, "a") == REFUSED
    assert (await claim(place.backend, "b")).is_granted


async def test_fences_grow_past_a_record_that_was_lost(place: Place) -> None:
    first = await claim(place.backend, "a")
    place.stored.do("DEL", TURN)
    assert await claim(place.backend, "a", first.fence) == first
    await give_back(place.backend, "a")
    place.stored.do("DEL", TURN)
    seconds, _ = cast("list[bytes]", place.stored.do("TIME"))
    assert (await claim(place.backend, "b")).fence >= int(seconds) * 1000 > 0


async def test_a_late_commit_of_an_earlier_turn_is_refused_as_a_whole(everywhere: Place) -> None:
    backend = everywhere.backend
    first = await claim(backend, "a")
    assert (await commit(backend, fenced(first.fence, 0, b"1"))).status == "committed"
    end_lease(everywhere.stored)
    second = await claim(backend, "b")
    before = everywhere.stored.everything()
    assert (await commit(backend, fenced(first.fence, 1, b"late"))).status == "fenced"
    assert everywhere.stored.everything() == before
    assert (await commit(backend, fenced(second.fence, 1, b"2"))).status == "committed"
    assert values(await load(backend)) == [b"1", b"2"]


async def test_a_commit_after_its_turn_is_stored_if_no_later_one_has_begun(place: Place) -> None:
    first = await claim(place.backend, "a")
    end_lease(place.stored)
    assert (await commit(place.backend, fenced(first.fence, 0, b"1"))).status == "committed"
    await give_back(place.backend, "a")
    assert (await commit(place.backend, fenced(first.fence, 1, b"2"))).status == "committed"


async def test_a_commit_that_was_stored_in_its_turn_is_so_when_it_comes_again_after_it(
    place: Place,
) -> None:
    first = await claim(place.backend, "a")
    changes = fenced(first.fence, 0, b"1")
    stored = await commit(place.backend, changes)
    end_lease(place.stored)
    await claim(place.backend, "b")
    again = await commit(place.backend, changes)
    assert (again.status, again.version) == ("committed", stored.version)


async def test_a_commit_without_a_turn_waits_for_none(place: Place) -> None:
    await claim(place.backend, "a")
    assert (await commit(place.backend, appends(0, b"1"))).status == "committed"


@pytest.mark.parametrize("fill", [("SET", TURN, "mine"), ("RPUSH", TURN, "mine")])
async def test_what_another_program_wrote_is_left_as_it_is(
    place: Place, fill: tuple[str, ...]
) -> None:
    place.stored.do(*fill)
    before = place.stored.everything()
    with pytest.raises(UnreadableConversation):
        await claim(place.backend, "a")
    assert place.stored.everything() == before


async def test_a_turn_leaves_nothing_that_stays_for_ever(place: Place) -> None:
    await claim(place.backend, "a")
    assert TTL_MS < place.stored.number("PTTL", TURN) <= LONG
    await give_back(place.backend, "a")
    assert 0 < place.stored.number("PTTL", TURN) <= TTL_MS


async def test_the_turn_of_a_conversation_is_not_taken_for_one(place: Place) -> None:
    await claim(place.backend, "a")
    await commit(place.backend, appends(0, b"1"), "another")
    assert await place.backend.keys(TIMEOUT) == ["another"]
    assert place.stored.number("EXISTS", HASH) == 0
