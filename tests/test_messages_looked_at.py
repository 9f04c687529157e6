"""A message may be changed by whoever got hold of it, whichever way that was."""

import asyncio
import copy
import itertools
import json
import pickle
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from jv_session_mw import Message, Messages
from tests.handles import Handle, loaded, say


@pytest.fixture
def handle() -> Handle:
    """A conversation of four messages, loaded."""
    return loaded(say(at) for at in range(4))


def matched(messages: Messages) -> Message:
    match messages:
        case [_, second, *_]:
            return second
        case _:
            raise AssertionError


def itself(message: Message) -> Message:
    return message


def unpacked(messages: Messages) -> Message:
    _, second, *_ = messages
    return second


def extended(messages: Messages) -> Message:
    others: list[Message] = []
    others.extend(messages)
    return others[1]


def sliced_into(messages: Messages) -> Message:
    others: list[Message] = []
    others[:] = messages
    return others[1]


# Each way leads to the second message.
WAYS: dict[str, Callable[[Messages], Any]] = {
    "index": lambda messages: messages[1],
    "negative index": lambda messages: messages[1 - len(messages)],
    "slice": lambda messages: messages[1:2][0],
    "iteration": lambda messages: list(messages)[1],
    "generator": lambda messages: next(m for m in messages if m["content"]),
    "enumerate": lambda messages: dict(enumerate(messages))[1],
    "zip": lambda messages: [m for m, _ in zip(messages, range(9), strict=False)][1],
    "map": lambda messages: list(map(itself, messages))[1],
    "filter": lambda messages: next(filter(itself, list(filter(itself, messages))[1:])),
    "islice": lambda messages: next(itertools.islice(messages, 1, 2)),
    "reversed": lambda messages: list(reversed(messages))[-2],
    "sorted": lambda messages: sorted(messages, key=lambda m: str(m["content"]))[1],
    "tuple": lambda messages: tuple(messages)[1],
    "unpacking": unpacked,
    "star": lambda messages: [*messages][1],
    "match": matched,
    "copy": lambda messages: messages.copy()[1],
    "copy.copy": lambda messages: copy.copy(messages)[1],
    "add": lambda messages: (messages + [say("x")])[1],  # noqa: RUF005
    "add to": lambda messages: ([say("x")] + messages)[2],  # noqa: RUF005
    "multiply": lambda messages: (messages * 2)[1],
    "multiply by": lambda messages: (2 * messages)[len(messages) + 1],
    "extend another": extended,
    "slice of another": sliced_into,
    "max": lambda messages: max(messages, key=lambda m: m["content"] == 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_is_stored_whichever_way_the_message_was_reached(handle: Handle, way: str) -> None:
    WAYS[way](handle.messages)["content"] = {"new": [1]}
    assert handle.commit() is not None
    assert handle.stored() == [say(0), say({"new": [1]}), say(2), say(3)]
    assert handle.commit() is None


@pytest.mark.parametrize("way", WAYS)
def test_a_change_after_a_commit_is_stored_too(handle: Handle, way: str) -> None:
    handle.messages.append(say(4))
    handle.commit()
    reached = WAYS[way](handle.messages)
    handle.messages.append(say(5))
    handle.commit()
    reached["content"] = "late"
    assert handle.commit() is not None
    assert [message["content"] for message in handle.stored()] == [0, "late", 2, 3, 4, 5]


def test_one_value_in_place_of_an_equal_one_of_another_type_is_a_change(handle: Handle) -> None:
    handle.messages[1]["content"] = True
    assert handle.commit() is not None
    assert handle.stored()[1]["content"] is True


def copied(messages: object) -> str:
    return str(pickle.loads(pickle.dumps(messages)))


@pytest.mark.parametrize(
    "encode",
    [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, copied],
    ids=["json", "msgspec", "msgpack", "pickle"],
)
def test_every_encoder_sees_every_message(
    handle: Handle, encode: Callable[[object], str | bytes]
) -> None:
    assert encode(handle.messages) == encode([say(at) for at in range(4)])


def test_a_pydantic_model_sees_every_message(handle: Handle) -> None:
    adapter = pydantic.TypeAdapter(list[dict[str, Any]])
    assert adapter.validate_python(handle.messages) == [say(at) for at in range(4)]
    assert json.loads(adapter.dump_json(handle.messages)) == [say(at) for at in range(4)]


def test_older_messages_that_came_in_may_be_changed() -> None:
    reader = loaded((say(at) for at in range(9)), window=3)

    older = asyncio.run(reader.messages.older(2))
    older[0]["content"] = "changed"
    reader.messages.append(say(9))
    assert reader.commit() is not None
    assert [m["content"] for m in reader.stored()] == [0, 1, 2, 3, "changed", 5, 6, 7, 8, 9]
    assert reader.commit() is None


REMOVALS: dict[str, Callable[[Messages], object]] = {
    "replace": lambda messages: messages.__setitem__(1, say("new")),
    "replace a slice": lambda messages: messages.__setitem__(slice(1, 3), [say("new")]),
    "delete": lambda messages: messages.__delitem__(1),
    "delete a slice": lambda messages: messages.__delitem__(slice(0, 2)),
    "pop": lambda messages: messages.pop(0),
    "remove": lambda messages: messages.remove(say(2)),
}


@pytest.mark.parametrize("way", REMOVALS)
def test_what_is_removed_is_seen_though_as_many_are_appended(handle: Handle, way: str) -> None:
    REMOVALS[way](handle.messages)
    handle.messages.extend(say("more") for _ in range(4 - len(handle.messages)))
    expected = list(handle.messages.copy())
    assert handle.commit() is not None
    assert handle.stored() == expected
    assert handle.commit() is None


@pytest.mark.parametrize("value", [date(2026, 11, 25), Decimal("1.5"), UUID(int=7)], ids=str)
def test_what_json_lacks_does_not_hide_a_change_of_a_message_of_this_turn(
    handle: Handle, value: object
) -> None:
    answer = {**say(""), "about": value}
    handle.messages.append(answer)
    handle.commit()
    answer["content"] = "the whole answer"
    handle.commit()
    assert handle.stored()[4:] == [{**say("the whole answer"), "about": value}]
