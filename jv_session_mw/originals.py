"""What a value was, to tell whether it still is that."""

import marshal
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import msgspec

# Of a text or a number itself, as it cannot change; of a dict of such, a copy; of any other plain
# value its fingerprint. Whoever has one only passes it on.
Original: TypeAlias = object
Flat: TypeAlias = dict[object, object]

_SCALARS: Final = frozenset({bool, int, float, str})
_PARTS: Final = _SCALARS | {type(None), bytes}

# From version 3 on the bytes depend on who else holds the values.
VERSION: Final = 2
_dumps: Final = cast("Callable[[object, int], bytes]", marshal.dumps)
_encode: Final = msgspec.json.Encoder().encode


def original_of(value: object) -> Original | None:
    """Return what *value* is now.

    None for what is not plain: an object of any class that is not a built-in one, what has one
    inside, and whatever else JSON cannot be made of.
    """
    flat = flat_of(value)
    return _print_of(value) if flat is None else flat


def flat_of(value: object) -> Original | None:
    """Return what *value* is now, None where something inside of it could be changed by itself."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is not dict:
        return None
    copy = cast("Flat", value).copy()
    return copy if _is_flat(copy) else None


def copy_of(flat: Original) -> object:
    """Return a value of its own that is what *flat* says, which `flat_of` made."""
    return cast("Flat", flat).copy() if isinstance(flat, dict) else flat


def fill_in(originals: list[Original | None], values: list[object], first: int = 0) -> None:
    """Put in what *values*, the first of them at place *first*, are where nobody has said it."""
    for at, value in enumerate(values, first):
        if originals[at] is None:
            originals[at] = original_of(value)


def are_as(values: list[object], originals: list[Original | None]) -> bool:
    """Say whether each of *values* is what the one of *originals* in its place says."""
    for value, original in zip(values, originals):
        if not is_as(value, original):
            return False
    return True


def is_as(value: object, original: Original | None) -> bool:
    """Say whether *value* is what *original* says; where that is None nobody knows, so False.

    This tells 1 from True and 1.0, a list from a tuple, and one order of keys from another, at a
    fraction of what encoding costs.
    """
    if isinstance(original, dict):
        # A copy, since a thread of the app may be at it.
        return type(value) is dict and _is_flat_as(
            cast("Flat", value).copy(), cast("Flat", original)
        )
    if isinstance(original, bytes):
        return _print_of(value) == original
    return original is not None and _is_part_as(value, original)


def _is_flat(value: Flat) -> bool:
    for name, part in value.items():
        if type(name) is not str or type(part) not in _PARTS:
            return False
    return True


def _is_flat_as(value: Flat, original: Flat) -> bool:
    if len(value) != len(original):
        return False
    for name, here in zip(original, value):
        if here is not name and not (isinstance(here, str) and here == name):
            return False
        now, part = value[name], original[name]
        if now is not part and not _is_part_as(now, part):
            return False
    return True


def _is_part_as(now: object, part: object) -> bool:
    if now is part:
        return True
    kind = type(now)
    if kind is not type(part):
        return False
    return repr(now) == repr(part) if kind is float else now == part  # 0.0 is not -0.0


def _print_of(value: object) -> bytes | None:
    """Return the fingerprint: equal for equal values of the same types, and for no others.

    `marshal` would follow a value that holds itself along every branch, for ever, also after it
    has met what it cannot write. So there is one only of what JSON can be made of.
    """
    try:
        _encode(value)
        return _dumps(value, VERSION)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
