"""Whatever place of the messages is named, what is done there is stored, and only that compared."""

import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jv_session_mw import Message, Messages
from jv_session_mw.changes import Changes
from jv_session_mw.rewriting import Rewriting
from tests.handles import CODEC, KEY, Handle, loaded, say


@pytest.fixture
def handle() -> Handle:
    """A conversation of four messages, loaded."""
    return loaded(say(at) for at in range(4))


places = st.integers(-9, 9)
slices = st.builds(slice, st.none() | places, st.none() | places, st.sampled_from([None, 1, 2, -1]))


def change(message: Message) -> None:
    message["content"] = ["changed", message["content"]]


def pop(messages: list[Message], place: int | slice) -> None:
    if isinstance(place, int):
        messages.pop(place)


def delete(messages: list[Message], place: int | slice) -> None:
    del messages[place]


def replace(messages: list[Message], place: int | slice) -> None:
    if isinstance(place, int):
        messages[place] = say("replaced")


def reach(messages: list[Message], place: int | slice) -> None:
    if isinstance(place, int):
        change(messages[place])
        return
    for message in messages[place]:
        change(message)


def append(messages: list[Message], _: int | slice) -> None:
    messages.append(say("appended"))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([reach, reach, pop, delete, replace, append]),
            places | slices,
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_whatever_is_done_at_any_place_is_stored_as_a_list_would_have_it(
    steps: list[tuple[Callable[[list[Message], Any], None], Any, bool]],
) -> None:
    expected = [say(at) for at in range(6)]
    handle = loaded(say(at) for at in range(6))
    for step, place, commits in steps:
        with suppress(IndexError):
            step(expected, place)
        with suppress(IndexError):
            step(handle.messages, place)
        if commits:
            handle.commit()
            assert handle.stored() == expected
    handle.commit()
    assert handle.stored() == expected
    assert handle.commit() is None


def nested(at: int) -> Message:
    return {"role": "user", "parts": [at]}


@pytest.fixture
def deep() -> Handle:
    """A conversation of four messages with lists inside, loaded."""
    return loaded(nested(at) for at in range(4))


def test_a_look_at_the_last_messages_alone_is_nothing_to_store(deep: Handle) -> None:
    assert deep.messages[-1] == nested(3)
    assert deep.copy.is_as_stored()
    assert deep.messages[-3:] == [nested(1), nested(2), nested(3)]
    assert deep.copy.is_as_stored()
    deep.messages.append(nested(4))
    changes = deep.commit()
    assert changes is not None
    assert not changes.edits_log()
    assert deep.copy.is_as_stored()


def test_a_change_of_one_among_the_last_messages_is_stored_alone(deep: Handle) -> None:
    deep.messages[-2]["parts"].append("new")
    changes = deep.commit()
    assert changes is not None
    assert len(changes.replaced) == 1
    assert deep.copy.is_as_stored()
    assert deep.stored() == [nested(0), nested(1), {"role": "user", "parts": [2, "new"]}, nested(3)]


def test_messages_that_are_repeated_in_place_are_seen_in_both_places(deep: Handle) -> None:
    messages = deep.messages
    messages *= 2
    messages[-1]["parts"].append("new")
    deep.commit()
    assert deep.stored() == list(messages)
    assert deep.commit() is None


@pytest.mark.parametrize("edits", [True, False])
async def test_older_messages_that_come_while_a_commit_is_under_way_keep_their_places(
    edits: bool,
) -> None:
    handle = loaded((nested(at) for at in range(6)), window=3)
    if edits:
        handle.messages[0]["parts"].append("new")
    handle.messages.append(nested(6))
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.sending(delta)
    await handle.messages.older(2)
    handle.copy.absorb(delta, handle.memory.commit(KEY, delta.changes))
    assert handle.copy.is_as_stored()
    handle.messages[1]["parts"].append("old")
    handle.messages[-1]["parts"].append("last")
    changes = handle.commit()
    assert changes is not None
    assert sorted(changes.replaced) == [3, 7]
    assert handle.stored()[1:] == list(handle.messages)


def test_an_equal_text_in_place_of_one_is_as_it_was(handle: Handle) -> None:
    for message in handle.messages:
        message["role"] = "".join(["us", "er"])
    assert handle.copy.is_as_stored()


def test_after_a_clear_the_new_messages_are_compared_with_each_other_alone(deep: Handle) -> None:
    deep.messages.clear()
    deep.messages.append(nested(7))
    deep.commit()
    assert deep.copy.is_as_stored()
    deep.messages[0]["parts"].append("new")
    deep.commit()
    assert deep.stored() == [{"role": "user", "parts": [7, "new"]}]


def test_messages_that_are_put_behind_themselves_are_seen_in_both_places() -> None:
    handle = loaded(nested(at) for at in range(3))
    handle.messages[3:] = handle.messages
    handle.messages[-1]["parts"].append("new")
    handle.commit()
    assert handle.stored() == list(handle.messages)
    assert handle.commit() is None


NO_INDEX: dict[str, Callable[[Messages, Any], object]] = {
    "get": operator.getitem,
    "pop": Messages.pop,
    "delete": operator.delitem,
    "set": lambda messages, index: messages.__setitem__(index, say("new")),
}


@pytest.mark.parametrize("index", ["a", 1.5, None])
@pytest.mark.parametrize("way", NO_INDEX)
def test_what_is_no_index_is_a_type_error_as_for_a_list(
    handle: Handle, way: str, index: object
) -> None:
    with pytest.raises(TypeError):
        NO_INDEX[way](handle.messages, index)


def test_a_look_while_a_commit_is_under_way_leaves_nothing_in_doubt() -> None:
    handle = loaded(nested(at) for at in range(3))
    handle.messages.append(say("new"))
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.sending(delta)
    assert handle.messages[0] == {"role": "user", "parts": [0]}
    handle.copy.absorb(delta, handle.memory.commit(KEY, delta.changes))
    assert handle.copy.is_as_stored()


LOOKS: list[tuple[Callable[[Messages], object], int]] = [
    (len, 4),
    (lambda messages: messages.append(say("new")), 4),
    (lambda messages: messages[-1], 3),
    (lambda messages: messages.pop(), 3),
    (lambda messages: messages[-2:], 2),
    (lambda messages: messages[3:0:-1], 1),
    (lambda messages: messages[:2], 0),
    (iter, 0),
]


@pytest.mark.parametrize(("look", "unlooked"), LOOKS)
def test_what_comes_before_the_first_that_was_reached_is_not_compared(
    handle: Handle, look: Callable[[Messages], object], unlooked: int
) -> None:
    look(handle.messages)
    assert handle.messages.unlooked == unlooked


def test_new_messages_in_place_of_all_are_looked_up_and_not_searched_for() -> None:
    looks = 0

    class Values(list[Message]):
        def __getitem__(self, index: Any) -> Any:
            nonlocal looks
            looks += 1
            return list[Any].__getitem__(self, index)

    values = Values(say(at) for at in range(500))
    entries = [(at, CODEC.encode(value, "")) for at, value in enumerate(values)]
    rewriting = Rewriting(CODEC, entries, values, [None] * 500, changes := Changes("", 1))
    assert rewriting.walk([say(f"new {at}") for at in range(500)], 500) == []
    assert len(changes.replaced) == 500
    assert looks <= 2 * 500
