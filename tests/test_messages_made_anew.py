"""An answer that is made anew: what takes a removed message's place is a message of its own."""

from collections.abc import Callable

import pytest

from tests.handles import Handle, loaded, say


def question_and_answer() -> Handle:
    return loaded([say("question"), say("answer")])


def take_back(handle: Handle) -> None:
    handle.messages.pop()


def cut_off(handle: Handle) -> None:
    del handle.messages[1:]


def leave_the_first(handle: Handle) -> None:
    handle.messages[:] = handle.messages[:1]


def remove(handle: Handle) -> None:
    handle.messages.remove(say("answer"))


ways = pytest.mark.parametrize("way", [take_back, cut_off, leave_the_first, remove])


@ways
def test_it_stays_where_another_turn_has_removed_that_message_too(
    way: Callable[[Handle], None],
) -> None:
    one = question_and_answer()
    other = Handle(one.memory)
    way(one)
    one.messages.append(say("better"))
    way(other)
    other.commit()
    one.commit()
    assert one.stored() == [say("question"), say("better")]


@ways
def test_two_of_them_both_stay(way: Callable[[Handle], None]) -> None:
    one = question_and_answer()
    other = Handle(one.memory)
    for handle, text in ((one, "better"), (other, "best")):
        way(handle)
        handle.messages.append(say(text))
        handle.commit()
    assert one.stored() == [say("question"), say("better"), say("best")]


@ways
def test_it_comes_after_what_another_turn_has_appended(way: Callable[[Handle], None]) -> None:
    one = question_and_answer()
    other = Handle(one.memory)
    other.messages.append(say("meanwhile"))
    other.commit()
    way(one)
    one.messages.append(say("better"))
    one.commit()
    assert one.stored() == [say("question"), say("meanwhile"), say("better")]


def test_what_is_put_in_the_place_of_a_message_keeps_the_place() -> None:
    one = question_and_answer()
    other = Handle(one.memory)
    other.messages.append(say("meanwhile"))
    other.commit()
    one.messages[-1] = say("better")
    one.commit()
    assert one.stored() == [say("question"), say("better"), say("meanwhile")]


def test_after_a_commit_a_place_can_be_kept_again() -> None:
    one = question_and_answer()
    take_back(one)
    one.messages.append(say("better"))
    one.commit()
    one.messages[-1] = say("best")
    changes = one.commit()
    assert changes is not None
    assert (len(changes.replaced), changes.dropped, changes.appended) == (1, [], [])


def test_what_was_here_before_a_commit_keeps_its_place_after_one_that_waited() -> None:
    handle = question_and_answer()
    take_back(handle)
    handle.messages.append(say("better"))
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.sending(delta)
    handle.messages.pop()
    handle.messages.append(say("best"))
    handle.copy.absorb(delta, handle.memory.commit("key", delta.changes))
    handle.commit()
    assert handle.stored() == [say("question"), say("best")]
    assert handle.messages == handle.stored()


async def test_older_messages_that_come_in_between_keep_their_places() -> None:
    author = loaded(say(at) for at in range(4))
    handle = Handle(author.memory, window=2)
    handle.messages.pop()
    await handle.messages.older(2)
    handle.messages[2] = say("in place")
    handle.messages.append(say("new"))
    changes = handle.commit()
    assert changes is not None
    assert (list(changes.replaced), changes.dropped) == ([3], [4])
    assert handle.stored() == [say(0), say(1), say("in place"), say("new")]
