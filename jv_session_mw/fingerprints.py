"""Fingerprints of plain values, which tell without encoding whether a value has changed."""

import marshal
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TypeAlias, cast
from uuid import UUID

import msgspec

# A text, a number or a date cannot change, and is its own fingerprint. That of a dict of these is a
# copy, that of any other plain value its marshalled bytes. Other modules only pass them on.
Fingerprint: TypeAlias = object
Flat: TypeAlias = dict[object, object]

_SCALARS: Final = frozenset({bool, int, float, str, date, datetime, time, timedelta, Decimal, UUID})
_PARTS: Final = _SCALARS | {type(None), bytes}
# Two values of these may be equal and yet differ: 1.5 and 1.50, one moment in two time zones.
_SHADED: Final = frozenset({datetime, time, Decimal})

# From version 3 of marshal on, the bytes depend on how many references a value has.
VERSION: Final = 2
_dumps: Final = cast("Callable[[object, int], bytes]", marshal.dumps)
_encode: Final = msgspec.json.Encoder().encode


def fingerprint_of(value: object) -> Fingerprint | None:
    """Return the fingerprint of *value* as it is now.

    None unless *value* consists of built-in types alone, and its lists and inner dicts of nothing
    but what JSON can express.
    """
    flat = flat_copy_of(value)
    return _bytes_of(value) if flat is None else flat


def flat_copy_of(value: object) -> Fingerprint | None:
    """Return the fingerprint of a *value* that holds no list or dict; None for any other."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is not dict:
        return None
    copy = cast("Flat", value).copy()
    return copy if _is_flat(copy) else None


def value_of(flat: Fingerprint) -> object:
    """Return a new value equal to the one that `flat_copy_of` was given."""
    return cast("Flat", flat).copy() if isinstance(flat, dict) else flat


def fill_in(fingerprints: list[Fingerprint | None], values: list[object], first: int = 0) -> None:
    """Take the missing fingerprints of *values*, which stand at the places from *first* on."""
    for at, value in enumerate(values, first):
        if fingerprints[at] is None:
            fingerprints[at] = fingerprint_of(value)


def all_match(values: list[object], fingerprints: list[Fingerprint | None]) -> bool:
    """Return whether each value matches the fingerprint in its place."""
    for value, fingerprint in zip(values, fingerprints):
        if not matches(value, fingerprint):
            return False
    return True


def matches(value: object, fingerprint: Fingerprint | None) -> bool:
    """Return whether *value* is still what its *fingerprint* was taken of; False if there is none.

    This tells 1 from True and 1.0, a list from a tuple, and one order of keys from another, at a
    fraction of what encoding costs.
    """
    if isinstance(fingerprint, dict):
        # A copy, since a thread of the app may be changing it.
        return type(value) is dict and _flat_matches(
            cast("Flat", value).copy(), cast("Flat", fingerprint)
        )
    if isinstance(fingerprint, bytes):
        return _bytes_of(value) == fingerprint
    return fingerprint is not None and _part_matches(value, fingerprint)


def _is_flat(value: Flat) -> bool:
    for name, part in value.items():
        if type(name) is not str or type(part) not in _PARTS:
            return False
    return True


def _flat_matches(value: Flat, fingerprint: Flat) -> bool:
    if len(value) != len(fingerprint):
        return False
    for name, here in zip(fingerprint, value):
        if here is not name and not (isinstance(here, str) and here == name):
            return False
        now, part = value[name], fingerprint[name]
        if now is not part and not _part_matches(now, part):
            return False
    return True


def _part_matches(now: object, part: object) -> bool:
    if now is part:
        return True
    kind = type(now)
    if kind is not type(part):
        return False
    if kind is float:
        return repr(now) == repr(part)  # 0.0 is not -0.0
    return now == part if kind not in _SHADED else repr(now) == repr(part) and now == part


def _bytes_of(value: object) -> bytes | None:
    """Return bytes that are equal for equal values of the same types, and for no others.

    JSON is tried first, since `marshal` follows a value that contains itself along every branch
    without end, even after it has met something that it cannot write.
    """
    try:
        _encode(value)
        return _dumps(value, VERSION)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
