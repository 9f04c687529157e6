"""Originals: equal to what is the same plain data, and to nothing else."""

import copy
import marshal
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.originals import copy_of, flat_of, is_as, original_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(
    scalars | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


@given(plain)
def test_an_equal_value_is_what_the_original_says_whoever_holds_its_parts(value: object) -> None:
    held = [value, value]
    original = original_of(value)
    assert is_as(value, original)
    assert is_as(copy.deepcopy(value), original)
    assert held


@given(scalars | st.dictionaries(st.text(), scalars | st.binary()))
def test_the_copy_of_what_is_flat_has_its_types_and_order(value: object) -> None:
    flat = flat_of(value)
    assert (flat is None) == (value is None)
    if flat is not None:
        assert repr(copy_of(flat)) == repr(value)
        assert is_as(copy_of(flat), flat)


@given(plain, plain)
def test_what_is_as_another_is_equal_to_it(one: object, other: object) -> None:
    if is_as(other, original_of(one)):
        assert repr(one) == repr(other)


CHANGES: list[tuple[dict[str, Any], Callable[[Any], object]]] = [
    ({"role": "user", "content": "hello"}, lambda value: value.update(content="bye")),
    ({"role": "user", "content": "hello"}, lambda value: value.pop("role")),
    ({"content": [{"text": "hello"}]}, lambda value: value["content"].append({"text": "bye"})),
    ({"content": [{"text": "hello"}]}, lambda value: value["content"][0].update(text="bye")),
    ({"call": {"arguments": [1, 2]}}, lambda value: value["call"]["arguments"].pop()),
]


@pytest.mark.parametrize(("value", "change"), CHANGES)
def test_no_change_of_the_value_or_of_a_copy_reaches_the_original(
    value: dict[str, Any], change: Callable[[Any], object]
) -> None:
    given = copy.deepcopy(value)
    original, flat = original_of(given), flat_of(given)
    for changing in [given] if flat is None else [given, copy_of(flat)]:
        assert changing == value
        change(changing)
        assert not is_as(changing, original)
    assert is_as(value, original)


ALIKE: list[tuple[object, object]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    (0, None),
    ("1", 1),
    ([1], (1,)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": None}, {"b": None}),
    ({"a": [1]}, {"a": (1,)}),
    (b"a", "a"),
    (b"", None),
    ("red", Colour.RED),
    (1, Level.ONE),
    ("a", Text("a")),
    ({}, OrderedDict[str, int]()),
    ({}, None),
    ([], {}),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_only_looks_equal_is_not(one: object, other: object) -> None:
    for this, that in [(one, other), (other, one)]:
        assert not is_as(this, original_of(that))
        assert not is_as(
            {"role": "user", "part": this}, original_of({"role": "user", "part": that})
        )
        assert not is_as({"deep": [this]}, original_of({"deep": [that]}))


@given(plain)
def test_the_bytes_of_a_fingerprint_are_no_stand_in_for_the_value(value: object) -> None:
    original = original_of([value])
    assert isinstance(original, bytes)
    assert not is_as(original, original)


def test_equal_texts_and_numbers_are_as_each_other_whichever_object_they_are() -> None:
    one: dict[str, Any] = {"text": "a b", "int": 10**6, "float": 1.5, "bytes": b"a b", "none": None}
    other: dict[str, Any] = marshal.loads(marshal.dumps(one))
    assert one["text"] is not other["text"]
    assert is_as(other, original_of(one))
    for name in ("text", "int", "float"):
        assert is_as(other[name], original_of(one[name]))


NOT_PLAIN: list[object] = [
    datetime(2020, 1, 1, tzinfo=UTC),
    Decimal(1),
    object(),
    Colour.RED,
    Text("a"),
    OrderedDict[str, int](),
]


@pytest.mark.parametrize("value", NOT_PLAIN)
def test_what_is_not_plain_has_none(value: object) -> None:
    assert original_of(value) is None
    assert original_of({"role": "user", "part": value}) is None
    assert original_of({"deep": [value]}) is None
    assert not is_as(value, None)


def test_a_name_that_is_no_plain_text_lets_a_dict_have_none() -> None:
    assert original_of({Text("role"): "user"}) is None
