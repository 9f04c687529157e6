"""Fingerprints: equal for what is the same plain data, and for nothing else."""

import copy
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.fingerprint import fingerprint, print_of, prints_of, value_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


@given(st.lists(plain))
def test_a_copy_has_the_same_fingerprint_whoever_holds_its_parts(values: list[Any]) -> None:
    held = [values, *values]
    assert fingerprint(copy.deepcopy(values)) == fingerprint(values) is not None
    assert held


@given(st.lists(plain), st.lists(plain))
def test_the_fingerprint_of_a_sum_is_the_sum_of_the_fingerprints(
    one: list[Any], other: list[Any]
) -> None:
    whole, first, second = fingerprint(one + other), fingerprint(one), fingerprint(other)
    assert first is not None
    assert second is not None
    assert whole == first + second


@given(plain)
def test_a_fingerprint_of_one_value_makes_it_again_as_a_copy(value: object) -> None:
    print = print_of([value])
    assert print is not None
    again, third = value_of(print), value_of(print)
    assert repr(again) == repr([value])
    assert again is not third


@given(plain, plain)
def test_equal_fingerprints_are_equal_values(one: object, other: object) -> None:
    if fingerprint([one]) == fingerprint([other]):
        assert repr(one) == repr(other)


ALIKE: list[tuple[object, object]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    (0, None),
    ("1", 1),
    ([1], (1,)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": [1]}, {"a": (1,)}),
    (b"a", "a"),
    ("red", Colour.RED),
    (1, Level.ONE),
    ("a", Text("a")),
    ({}, OrderedDict[str, int]()),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_only_looks_equal_has_another(one: object, other: object) -> None:
    assert fingerprint([one]) != fingerprint([other])
    assert prints_of({"a": one}) != prints_of({"a": other})


NOT_PLAIN: list[object] = [
    datetime(2020, 1, 1, tzinfo=UTC),
    Decimal(1),
    object(),
    Colour.RED,
    OrderedDict[str, int](),
]


@pytest.mark.parametrize("value", NOT_PLAIN)
def test_what_is_not_plain_has_none(value: object) -> None:
    assert fingerprint([value]) is None
    assert fingerprint([{"deep": [value]}]) is None
    found = prints_of({"plain": [1], "not": value})
    assert found == {"plain": prints_of({"plain": [1]})["plain"], "not": None}


def test_what_holds_itself_has_none() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert fingerprint(endless) is None
