"""The message log as a list: whatever is done to it is what is stored."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw import UnsupportedEdit
from tests.handles import CODEC, KEY, Handle, loaded, say


@pytest.fixture
def handle() -> Handle:
    """A conversation of three messages, loaded."""
    return loaded(say(at) for at in range(3))


def test_a_look_changes_nothing(handle: Handle) -> None:
    assert [message["content"] for message in handle.messages] == [0, 1, 2]
    assert handle.messages[1:] == [say(1), say(2)]
    assert handle.commit() is None


def test_it_is_a_list_that_others_take_for_one(handle: Handle) -> None:
    assert isinstance(handle.messages, list)
    assert CODEC.encode({"messages": handle.messages}, "x")
    assert [say("system"), *handle.messages][0] == say("system")


def test_what_is_appended_is_all_that_is_sent(handle: Handle) -> None:
    handle.messages.append(say(3))
    changes = handle.commit()
    assert changes is not None
    assert changes.appended == [CODEC.encode(say(3), "x")]
    assert (changes.replaced, changes.dropped, changes.cleared) == ({}, [], 0)
    assert handle.stored() == [say(0), say(1), say(2), say(3)]


@pytest.mark.parametrize("value", ["a text", 5, None, ["a", 1], 1.5, True])
def test_what_is_no_dict_is_kept_and_edited_like_one(handle: Handle, value: object) -> None:
    cast("list[object]", handle.messages).append(value)
    handle.commit()
    again = Handle(handle.memory)
    assert again.messages == [say(0), say(1), say(2), value]
    again.messages.append(say(4))
    again.commit()
    del again.messages[3]
    again.messages[0] = say("changed")
    again.commit()
    assert again.stored() == [say("changed"), say(1), say(2), say(4)]


def test_extend_and_add_append(handle: Handle) -> None:
    handle.messages.extend([say(3), say(4)])
    messages = handle.messages
    messages += [say(5)]
    messages.insert(len(messages), say(6))
    handle.commit()
    assert [message["content"] for message in handle.stored()] == list(range(7))


def test_pop_and_del_drop_one(handle: Handle) -> None:
    assert handle.messages.pop() == say(2)
    del handle.messages[0]
    changes = handle.commit()
    assert changes is not None
    assert len(changes.dropped) == 2
    assert not changes.replaced
    assert handle.stored() == [say(1)]


def test_remove_drops_the_first_that_is_equal(handle: Handle) -> None:
    handle.messages.append(say(1))
    handle.messages.remove(say(1))
    handle.commit()
    assert handle.stored() == [say(0), say(2), say(1)]


def test_an_assignment_replaces_in_place(handle: Handle) -> None:
    handle.messages[1] = say("new")
    changes = handle.commit()
    assert changes is not None
    assert len(changes.replaced) == 1
    assert (changes.dropped, changes.appended) == ([], [])
    assert handle.stored() == [say(0), say("new"), say(2)]


def test_a_change_inside_a_message_is_seen(handle: Handle) -> None:
    handle.messages[0]["content"] = {"parts": [{"text": "a"}]}
    handle.commit()
    handle.messages[0]["content"]["parts"][0]["text"] = "b"
    changes = handle.commit()
    assert changes is not None
    assert len(changes.replaced) == 1
    assert handle.stored()[0] == say({"parts": [{"text": "b"}]})


def test_a_message_that_was_just_appended_may_change_after_its_commit(handle: Handle) -> None:
    message = say("draft")
    handle.messages.append(message)
    handle.commit()
    message["content"] = "final"
    assert handle.commit() is not None
    assert handle.stored()[-1] == say("final")
    assert len(handle.stored()) == 4


def test_clear_drops_everything(handle: Handle) -> None:
    handle.messages.clear()
    assert handle.commit() is not None
    assert handle.stored() == []
    assert handle.commit() is None


def test_clear_and_append_leave_the_new(handle: Handle) -> None:
    kept = handle.messages[2]
    handle.messages.clear()
    handle.messages.extend([say("summary"), kept])
    handle.commit()
    assert handle.stored() == [say("summary"), say(2)]
    assert handle.commit() is None


@pytest.mark.parametrize("first", ["clear", "append"])
def test_clearing_what_is_empty_does_not_write_again_and_again(first: str) -> None:
    handle = Handle()
    if first == "append":
        handle.messages.append(say("gone"))
    handle.messages.clear()
    handle.messages.append(say("hi"))
    assert handle.commit() is not None
    assert handle.commit() is None
    assert handle.stored() == [say("hi")]


def test_a_clear_of_nothing_spares_what_another_turn_appended() -> None:
    mine = Handle()
    mine.messages.clear()
    mine.messages.append(say("mine"))
    mine.commit()
    other = Handle(mine.memory)
    other.messages.append(say("other"))
    other.commit()
    mine.messages.append(say("mine too"))
    mine.commit()
    assert mine.stored() == [say("mine"), say("other"), say("mine too")]


@pytest.mark.parametrize("way", ["del", "multiply", "assign"])
def test_emptied_by_other_means_it_is_empty(handle: Handle, way: str) -> None:
    messages = handle.messages
    if way == "del":
        del messages[:]
    elif way == "multiply":
        messages *= 0
    else:
        messages[:] = []
    handle.commit()
    assert handle.stored() == []


@pytest.mark.parametrize("index", [0, 1, -1, -9])
def test_an_insertion_before_the_end_is_refused_at_once(handle: Handle, index: int) -> None:
    with pytest.raises(UnsupportedEdit, match="log"):
        handle.messages.insert(index, say("new"))
    assert handle.commit() is None


def test_sort_and_reverse_are_refused_at_once(handle: Handle) -> None:
    with pytest.raises(UnsupportedEdit):
        handle.messages.sort(key=str)
    with pytest.raises(UnsupportedEdit):
        handle.messages.reverse()
    assert handle.commit() is None


def test_an_insertion_by_a_slice_is_refused_when_it_is_saved(handle: Handle) -> None:
    handle.messages[1:1] = [say("a"), say("b")]
    with pytest.raises(UnsupportedEdit):
        handle.commit()
    assert handle.stored() == [say(0), say(1), say(2)]


def test_another_order_is_refused_when_it_is_saved(handle: Handle) -> None:
    handle.messages[:] = list(reversed(handle.messages))
    with pytest.raises(UnsupportedEdit):
        handle.commit()
    assert handle.stored() == [say(0), say(1), say(2)]


def test_fewer_in_place_of_more_leave_the_rest(handle: Handle) -> None:
    handle.messages.extend([say(3), say(4)])
    handle.commit()
    handle.messages[1:4] = [say("summary")]
    handle.commit()
    assert handle.stored() == [say(0), say("summary"), say(4)]


async def test_older_messages_come_before_the_first(handle: Handle) -> None:
    late = Handle(handle.memory, window=1)
    assert (late.messages, late.messages.unseen, late.messages.total) == ([say(2)], 2, 3)
    assert await late.messages.older(1) == [say(1)]
    assert (late.messages, late.messages.unseen) == ([say(1), say(2)], 1)
    assert await late.messages.older(5) == [say(0)]
    assert (late.messages, late.messages.unseen) == ([say(0), say(1), say(2)], 0)
    assert await late.messages.older() == []
    assert late.commit() is None


async def test_older_messages_may_be_changed_and_dropped(handle: Handle) -> None:
    late = Handle(handle.memory, window=1)
    await late.messages.older(2)
    late.messages[0]["content"] = "changed"
    del late.messages[1]
    late.messages.append(say("new"))
    late.commit()
    assert late.stored() == [say("changed"), say(2), say("new")]


async def test_older_messages_that_come_during_a_commit_stay(handle: Handle) -> None:
    late = Handle(handle.memory, window=1)
    late.messages.append(say("new"))
    delta = late.copy.collect()
    assert delta is not None
    late.copy.sending(delta)
    await late.messages.older(2)
    late.copy.absorb(delta, late.memory.commit(KEY, delta.changes))
    assert late.commit() is None
    late.messages[0]["content"] = "changed"
    late.commit()
    assert late.stored() == [say("changed"), say(1), say(2), say("new")]


async def test_a_clear_drops_what_was_not_here_too(handle: Handle) -> None:
    late = Handle(handle.memory, window=1)
    late.messages.clear()
    assert late.messages.total == 0
    assert await late.messages.older() == []
    late.messages.append(say("new"))
    late.commit()
    assert late.stored() == [say("new")]


@given(st.lists(st.sampled_from("ab"), max_size=12), st.lists(st.sampled_from("ab"), max_size=12))
def test_two_turns_that_append_in_any_order_lose_nothing(one: list[str], two: list[str]) -> None:
    first = Handle()
    first.messages.append(say("start"))
    first.commit()
    second = Handle(first.memory)
    for at in range(max(len(one), len(two))):
        for handle, texts in ((first, one), (second, two)):
            if at < len(texts):
                handle.messages.append(say((id(handle), at)))
                if texts[at] == "a":
                    handle.commit()
    first.commit()
    second.commit()
    stored = first.stored()
    assert len(stored) == 1 + len(one) + len(two)
    for handle, texts in ((first, one), (second, two)):
        mine = [m["content"][1] for m in stored[1:] if m["content"][0] == id(handle)]
        assert mine == list(range(len(texts)))
