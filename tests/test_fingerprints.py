"""Fingerprints: equal to what is the same plain data, and to nothing else."""

import copy
import marshal
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.fingerprints import fingerprint_of, flat_copy_of, matches, value_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(
    scalars | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)

dated = st.dates() | st.datetimes(timezones=st.none() | st.timezones()) | st.times()
solid = scalars | dated | st.timedeltas() | st.decimals(allow_nan=False) | st.uuids()


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


class Moment(datetime):
    pass


@given(plain)
def test_an_equal_value_matches_whoever_else_holds_its_parts(value: object) -> None:
    holders = [value, value]  # from version 3 of marshal on, they would change the bytes
    fingerprint = fingerprint_of(value)
    assert all(matches(holder, fingerprint) for holder in holders)
    assert matches(copy.deepcopy(value), fingerprint)


@given(solid | st.dictionaries(st.text(), solid | st.binary()))
def test_the_copy_of_what_is_flat_has_its_types_and_order(value: object) -> None:
    flat = flat_copy_of(value)
    assert (flat is None) == (value is None)
    if flat is not None:
        assert repr(value_of(flat)) == repr(value)
        assert matches(value_of(flat), flat)


@given(plain, plain)
def test_what_matches_is_equal(one: object, other: object) -> None:
    if matches(other, fingerprint_of(one)):
        assert repr(one) == repr(other)


CHANGES: list[tuple[dict[str, Any], Callable[[Any], object]]] = [
    ({"role": "user", "content": "hello"}, lambda value: value.update(content="bye")),
    ({"role": "user", "content": "hello"}, lambda value: value.pop("role")),
    ({"content": [{"text": "hello"}]}, lambda value: value["content"].append({"text": "bye"})),
    ({"content": [{"text": "hello"}]}, lambda value: value["content"][0].update(text="bye")),
    ({"call": {"arguments": [1, 2]}}, lambda value: value["call"]["arguments"].pop()),
]


@pytest.mark.parametrize(("value", "change"), CHANGES)
def test_no_change_of_the_value_or_of_a_copy_reaches_the_fingerprint(
    value: dict[str, Any], change: Callable[[Any], object]
) -> None:
    given = copy.deepcopy(value)
    fingerprint, flat = fingerprint_of(given), flat_copy_of(given)
    for changing in [given] if flat is None else [given, value_of(flat)]:
        assert changing == value
        change(changing)
        assert not matches(changing, fingerprint)
    assert matches(value, fingerprint)


NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
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
    (Decimal("1.5"), Decimal("1.50")),
    (NOON, NOON.astimezone(timezone(timedelta(hours=2)))),
    (NOON, NOON.replace(fold=1)),
    (NOON, NOON.replace(tzinfo=None)),
    (NOON.timetz(), NOON.time()),
    (date(2020, 1, 1), datetime(2020, 1, 1)),
    (time(1), time(1, fold=1)),
    ({}, OrderedDict[str, int]()),
    ({}, None),
    ([], {}),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_only_looks_equal_does_not_match(one: object, other: object) -> None:
    for this, that in [(one, other), (other, one)]:
        assert not matches(this, fingerprint_of(that))
        assert not matches(
            {"role": "user", "part": this}, fingerprint_of({"role": "user", "part": that})
        )
        assert not matches({"deep": [this]}, fingerprint_of({"deep": [that]}))


@given(plain)
def test_the_bytes_of_a_fingerprint_are_no_stand_in_for_the_value(value: object) -> None:
    fingerprint = fingerprint_of([value])
    assert isinstance(fingerprint, bytes)
    assert not matches(fingerprint, fingerprint)


def test_equal_texts_and_numbers_match_whichever_object_they_are() -> None:
    one: dict[str, Any] = {"text": "a b", "int": 10**6, "float": 1.5, "bytes": b"a b", "none": None}
    other: dict[str, Any] = marshal.loads(marshal.dumps(one))
    assert one["text"] is not other["text"]
    assert matches(other, fingerprint_of(one))
    for name in ("text", "int", "float"):
        assert matches(other[name], fingerprint_of(one[name]))


NOT_PLAIN: list[object] = [
    Moment(2020, 1, 1, tzinfo=UTC),
    object(),
    Colour.RED,
    Text("a"),
    OrderedDict[str, int](),
]


@pytest.mark.parametrize("value", NOT_PLAIN)
def test_what_is_not_plain_has_no_fingerprint(value: object) -> None:
    assert fingerprint_of(value) is None
    assert fingerprint_of({"role": "user", "part": value}) is None
    assert fingerprint_of({"deep": [value]}) is None
    assert not matches(value, None)


@given(dated | st.decimals())
def test_what_json_lacks_has_no_fingerprint_deeper_inside(value: object) -> None:
    assert fingerprint_of({"deep": [value]}) is None
    assert fingerprint_of({"deep": {"part": value}}) is None


@pytest.mark.parametrize("value", [Decimal("sNaN"), Decimal("NaN"), Decimal("Infinity")])
def test_a_decimal_that_cannot_be_compared_is_no_error(value: Decimal) -> None:
    assert not matches(value, fingerprint_of(Decimal(1)))
    assert not matches({"part": value}, fingerprint_of({"part": Decimal(1)}))


def test_a_dict_with_a_key_that_is_no_plain_text_has_no_fingerprint() -> None:
    assert fingerprint_of({Text("role"): "user"}) is None
