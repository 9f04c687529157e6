"""What cannot be stored is refused by name, and keeps nothing else from being stored."""

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import get_context
from typing import Any, cast

import msgspec
import pytest
from pydantic import BaseModel

from jv_session_mw import UnsupportedValue
from jv_session_mw.changes import Outcome
from tests.handles import KEY, Handle, TypedHandle, say


@pytest.fixture
def handle() -> Handle:
    """A conversation with some state and one message, loaded."""
    author = Handle()
    author.state.update(n=1, nested={"list": [1, {"deep": "x"}]})
    author.messages.append(say("hi"))
    author.commit()
    return Handle(author.memory)


def test_a_value_that_cannot_be_stored_is_named_and_the_rest_is_sent(handle: Handle) -> None:
    handle.state.update(n=2, bad={"x": {1}})
    handle.messages.extend([say("a"), say(object()), say("c")])
    delta = handle.copy.collect()
    assert delta is not None
    assert [error.field for error in delta.refused if isinstance(error, UnsupportedValue)] == [
        "state.bad.x",
        "messages[2].content",
    ]
    assert set(delta.changes.fields) == {"n"}
    assert len(delta.changes.appended) == 1


class Said(BaseModel):
    content: str = "hello"


@dataclass
class Line:
    content: str = "hello"


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Said(), "store its model_dump()"),
        (Line(), "store its dataclasses.asdict()"),
        (object(), "store plain data"),
    ],
)
def test_a_refusal_says_what_to_store_instead(handle: Handle, value: object, advice: str) -> None:
    handle.messages.append(cast("Any", value))
    handle.state["last"] = {"said": value}
    delta = handle.copy.collect()
    assert delta is not None
    reason = f"a {type(value).__qualname__} would not come back as one; {advice}"
    assert [str(error) for error in delta.refused] == [
        f"state.last.said cannot be stored: {reason}, or give the store a state_type",
        f"messages[1] cannot be stored: {reason}",
    ]


class Score(float):
    """A number that is more than one, as `numpy.float64` is."""


class Count(int):
    """A whole one."""


@pytest.mark.parametrize("number", [Score(0.5), Count(2), Score("nan")])
def test_a_number_of_another_type_is_named_and_the_rest_is_sent(
    handle: Handle, number: object
) -> None:
    handle.state.update(n=2, score=number)
    handle.messages.extend([say("a"), {"role": "user", "scores": [number]}])
    delta = handle.copy.collect()
    assert delta is not None
    assert [error.field for error in delta.refused if isinstance(error, UnsupportedValue)] == [
        "state.score",
        "messages[2].scores[0]",
    ]
    assert set(delta.changes.fields) == {"n"}
    assert len(delta.changes.appended) == 1


def hold_itself(before: list[object]) -> None:
    """Let a field and a message hold themselves, twice, after *before*, and have them refused."""
    handle = Handle()
    handle.state["plan"] = {"steps": [1]}
    handle.messages.append({"role": "assistant", "parts": [1]})
    handle.commit()
    handle.load()
    plan: dict[str, list[object]] = handle.state.get("plan", {})
    message = handle.messages[-1]
    plan["steps"] += [*before, plan, plan]
    message["parts"] += [*before, message, message]
    assert not handle.copy.is_as_stored()
    delta = handle.copy.collect()
    assert delta is not None
    assert len(delta.refused) == 2
    assert delta.changes.empty()


@pytest.mark.parametrize("before", [[], [object()], [(1,)], [2**70]])
def test_a_value_that_has_come_to_hold_itself_is_refused(before: list[object]) -> None:
    # In a process of its own: what follows such a value in C can be interrupted by nobody here.
    process = get_context("spawn").Process(target=hold_itself, args=(before,))
    process.start()
    process.join(60)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("name", [1, None, b"bytes", ("a",), "\ud800", "a\udfff"])
def test_a_name_that_would_not_come_back_is_refused(handle: Handle, name: object) -> None:
    handle.state[name] = 1  # type: ignore[index] # pyright: ignore[reportArgumentType]
    delta = handle.copy.collect()
    assert delta is not None
    assert delta.changes.empty()
    (error,) = delta.refused
    assert isinstance(error, UnsupportedValue)
    assert "state" in error.field


class Alike:
    """What takes the place of the name "a" in a dict."""

    def __hash__(self) -> int:
        return hash("a")

    def __eq__(self, other: object) -> bool:
        return other == "a"


def test_a_name_that_only_equals_one_is_refused(handle: Handle) -> None:
    handle.state["a"], handle.state["deep"] = 1, {"a": 1}
    handle.commit()
    handle.state = cast("Any", {Alike(): 1, "deep": {Alike(): 1}})
    delta = handle.copy.collect()
    assert delta is not None
    assert len(delta.refused) == 2


class Name(StrEnum):
    A = "a"


def test_a_name_that_is_a_text_of_a_kind_of_its_own_names_the_same(handle: Handle) -> None:
    handle.state["a"], handle.state["deep"] = 1, {"a": 1}
    handle.commit()
    handle.state.pop("a")
    handle.state[Name.A], handle.state["deep"] = 1, {Name.A: 1}
    assert handle.commit() is None


def test_a_kind_of_list_dict_or_enum_comes_back_as_the_plain_value_that_it_equals(
    handle: Handle,
) -> None:
    handle.state.clear()
    handle.state.update(counts=defaultdict(int, {"a": 1}), name=Name.A, messages=handle.messages)
    handle.commit()
    state = Handle(handle.memory).state
    assert state == {"counts": {"a": 1}, "name": "a", "messages": handle.messages}
    assert [type(value) for value in state.values()] == [dict, str, list]


def test_a_refused_value_stays_until_it_is_mended(handle: Handle) -> None:
    handle.messages.append(say({1}))
    handle.messages.append(say("after"))
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.absorb(delta, Outcome("committed", 2))
    handle.messages[1]["content"] = "mended"
    handle.commit()
    assert handle.stored() == [say("hi"), say("mended"), say("after")]


def test_a_message_that_was_refused_is_refused_again_until_it_is_mended(handle: Handle) -> None:
    handle.messages[0]["content"] = object()
    for name in ("a", "b"):
        handle.state[name] = 1
        delta = handle.copy.collect()
        assert delta is not None
        assert len(delta.refused) == 1
        handle.copy.sending(delta)
        handle.copy.absorb(delta, handle.memory.commit(KEY, delta.changes))
        assert not handle.copy.is_as_stored()
    handle.messages[0]["content"] = "hi"
    assert handle.commit() is None


class Order(msgspec.Struct):
    count: int = 0
    notes: list[int] = []


def test_a_field_that_does_not_fit_its_type_is_refused_again_until_it_is_mended() -> None:
    handle = TypedHandle(Order)
    handle.state.count = cast("int", "many")
    for at in (1, 2):
        handle.state.notes.append(at)
        delta = handle.copy.collect()
        assert delta is not None
        assert len(delta.refused) == 1
        assert set(delta.changes.fields) == {"notes"}
        handle.copy.sending(delta)
        handle.copy.absorb(delta, handle.memory.commit(KEY, delta.changes))
        assert not handle.copy.is_as_stored()
    handle.state.count = 0
    assert handle.commit() is None
