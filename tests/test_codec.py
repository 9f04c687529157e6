"""Bytes <-> values: what comes back is what was given, or it is refused by name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.codec import DEEPEST, PLAIN, JsonCodec
from jv_session_mw.errors import UnsupportedValue
from tests.autumn import Autumn

CODEC = JsonCodec()

offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
zones = st.none() | st.just(UTC) | offsets
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = (
    st.none()
    | st.booleans()
    | numbers
    | st.text()
    | st.binary()
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times(timezones=zones)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
names = st.text() | st.sampled_from(["$t", "v", "$$t", ""])
storable = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(names, inner, max_size=5)
    ),
    max_leaves=15,
)


class Pair(NamedTuple):
    a: int
    b: int


@dataclass
class Point:
    x: int = 1


class Text(str):
    """A string of a class of its own, as template engines have."""

    __slots__ = ()


def same(one: object, other: object) -> bool:
    """Say whether both are equal and of the same types all the way down."""
    return one == other and shape(one) == shape(other)


def shape(value: object) -> object:
    """Return the types that *value* is made of, and the offset of every time."""
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return dict, {name: shape(item) for name, item in pairs.items()}
    if isinstance(value, (list, tuple)):
        items = cast("list[object]", value)
        return type(items), [shape(item) for item in items]
    if isinstance(value, (datetime, time)):
        return type(value), value.utcoffset()
    return type(value)


def contains_itself() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


def nested(depth: int) -> list[object]:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@given(storable)
def test_a_value_comes_back_as_it_was_with_its_types(value: object) -> None:
    assert same(CODEC.decode(CODEC.encode(value, "state.x"), "state.x"), value)


@given(storable)
def test_what_comes_back_is_encoded_to_the_same_bytes(value: object) -> None:
    data = CODEC.encode(value, "state.x")
    assert CODEC.encode(CODEC.decode(data, "state.x"), "state.x") == data


@pytest.mark.parametrize(
    "value",
    [
        {"$t": "datetime", "v": "2020-01-01"},
        {"$t": {"$t": 1}},
        {"$t": "dict", "v": {"$t": datetime(2020, 1, 1)}},
        [("a", (1, [datetime(2020, 1, 1, tzinfo=UTC)]))],
        -0.0,
        10**40,
        {"k": {"deep": [{"er": Decimal("1.10")}]}},
        b"",
        (),
        "\0\x7f\u2028😀",
    ],
)
def test_what_is_easily_mistaken_comes_back(value: object) -> None:
    back = CODEC.decode(CODEC.encode(value, "state.x"), "state.x")
    assert same(back, value)
    assert repr(back) == repr(value)


def test_what_is_plain_json_is_stored_as_plain_json() -> None:
    assert CODEC.encode({"a": [1, 2.5, None, True, "ü"]}, "x") == PLAIN + (
        '{"a":[1,2.5,null,true,"ü"]}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"price": math.nan}, "state.x.price"),
        ([1, math.inf], "state.x[1]"),
        (-math.inf, "state.x"),
        ({"tags": {1, 2}}, "state.x.tags"),
        ([frozenset([1])], "state.x[0]"),
        ({1: "one"}, "state.x"),
        ({"a": {1: "one"}}, "state.x.a"),
        ({"a": {None: 1}}, "state.x.a"),
        ({"a": {b"b": 1}}, "state.x.a"),
        ({"a": ["\ud800"]}, "state.x.a[0]"),
        ({"a": {"\ud800": 1}}, "state.x.a"),
        ({"a": object()}, "state.x.a"),
        ({"a": Point()}, "state.x.a"),
        ({"a": [Pair(1, 2)]}, "state.x.a[0]"),
        ({"a": (1, {"b": math.nan})}, "state.x.a[1].b"),
        ({"a": [datetime(2020, 1, 1), {1}]}, "state.x.a[1]"),
        ({"a": Decimal("NaN")}, "state.x"),
        ({"a": Decimal("sNaN")}, "state.x"),
        ({"a": len}, "state.x.a"),
        ({"a": bytearray(b"x")}, "state.x.a"),
        (contains_itself(), "state.x"),
        (nested(100_000), "state.x"),
        (nested(DEEPEST), "state.x"),
        ({"a": (datetime(2020, 1, 1), nested(DEEPEST))}, "state.x"),
        ({"a": [Text("x")]}, "state.x"),
    ],
)
def test_what_would_not_come_back_is_refused_by_its_path(value: object, field: str) -> None:
    with pytest.raises(UnsupportedValue) as refused:
        CODEC.encode(value, "state.x")
    assert refused.value.field.startswith(field)
    assert refused.value.reason
    assert str(refused.value).startswith(field)


def test_what_is_nested_as_deep_as_can_be_is_read_deep_in_calls() -> None:
    def read_in(calls: int, data: bytes) -> object:
        return read_in(calls - 1, data) if calls else CODEC.decode(data, "state.x")

    for value in (nested(DEEPEST - 1), [datetime(2020, 1, 1), nested(DEEPEST - 2)]):
        assert read_in(300, CODEC.encode(value, "state.x")) == value


def test_what_is_wide_and_full_of_brackets_is_not_deep() -> None:
    wide = [{"a": [at]} for at in range(DEEPEST)]
    for value in (wide, tuple(wide), {"content": "[{" * 500}, "[{" * 500):
        assert CODEC.decode(CODEC.encode(value, "state.x"), "state.x") == value


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (10**5_000, ValueError),
        (Decimal("sNaN"), ArithmeticError),
        (nested(100_000), RecursionError),
    ],
    ids=["too long", "signalling", "too deep"],
)
def test_a_refusal_has_what_python_said_as_its_cause(value: object, cause: type[Exception]) -> None:
    with pytest.raises(UnsupportedValue) as refused:
        CODEC.encode(value, "state.x")
    assert isinstance(refused.value.__cause__, cause)


@given(st.recursive(storable | st.floats() | st.text(st.characters()), st.lists, max_leaves=8))
def test_any_value_comes_back_or_is_refused(value: object) -> None:
    try:
        data = CODEC.encode(value, "state.x")
    except UnsupportedValue:
        return
    assert same(CODEC.decode(data, "state.x"), value)


@given(storable)
def test_a_plain_value_is_known_to_be_unchanged(value: object) -> None:
    data = CODEC.encode(value, "x")
    assert CODEC.unchanged(value, data) == data.startswith(PLAIN)


WHEN = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("8618f78e-27b1-42d4-be23-0817cc917ecc")


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        (1, 2),
        (1, True),
        (1, 1.0),
        ({"a": 1}, {"b": 1}),
        ("2020-01-02T03:04:05Z", WHEN),
        ("2020-01-02", date(2020, 1, 2)),
        (str(ID), ID),
        ("1.50", Decimal("1.50")),
        ("YQ==", b"a"),
        ([1, 2], (1, 2)),
        ([1], {1}),
        ({"1": "a"}, {1: "a"}),
        ({"x": 1}, Point()),
        ([1, 2], Pair(1, 2)),
        (None, math.nan),
        ("P1D", timedelta(days=1)),
    ],
)
def test_a_value_of_another_type_is_not_taken_for_unchanged(stored: object, now: object) -> None:
    assert not CODEC.unchanged(now, CODEC.encode(stored, "x"))


@pytest.mark.parametrize("make", [contains_itself, lambda: nested(100_000), object])
def test_what_cannot_be_encoded_is_not_unchanged(make: Callable[[], object]) -> None:
    assert not CODEC.unchanged(make(), PLAIN + b"[]")


def test_a_uuid_and_its_text_are_two_values() -> None:
    one, other = (CODEC.decode(CODEC.encode(value, "x"), "x") for value in (ID, str(ID)))
    assert (type(one), type(other)) == (UUID, str)


@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_in_the_hour_that_comes_twice_comes_back_with_its_offset(fold: int) -> None:
    when = datetime(2026, 10, 25, 2, 30, tzinfo=Autumn(), fold=fold)
    again = CODEC.decode(CODEC.encode([when, {"at": (when, 1)}], "x"), "x")
    fixed = when.replace(tzinfo=timezone(timedelta(hours=2 - fold)), fold=0)
    assert same(again, [fixed, {"at": (fixed, 1)}])
    assert fixed.isoformat() == when.isoformat()
