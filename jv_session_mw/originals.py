"""What a value was: to tell whether it still is that, and to make it again as a copy."""

import marshal
from collections.abc import Callable
from typing import Final, TypeAlias, cast

# Of a text or a number itself, as it cannot change; of a dict of such, a copy; of any other plain
# value its fingerprint. Whoever has one only passes it on.
Original: TypeAlias = object
Flat: TypeAlias = dict[str, object]

_SCALARS: Final = frozenset({bool, int, float, str})
_PARTS: Final = _SCALARS | {type(None), bytes}

# From version 3 on the bytes depend on who else holds the values.
VERSION: Final = 2
_dumps: Final = cast("Callable[[object, int], bytes]", marshal.dumps)
_loads: Final = cast("Callable[[bytes], object]", marshal.loads)


def original_of(value: object) -> Original | None:
    """Return what *value* is now.

    None for what is not plain: an object of any class that is not a built-in one, or what has one
    inside.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict and _is_flat(cast("Flat", value)):
        return cast("Flat", value).copy()
    return _print_of(value)


def copy_of(original: Original) -> object:
    """Return a value of its own that is what *original* says, nested lists and dicts too."""
    if isinstance(original, dict):
        return cast("Flat", original).copy()
    return _loads(original) if isinstance(original, bytes) else original


def are_as(values: list[object], originals: list[Original | None]) -> bool:
    """Say whether each of *values* is what the one of *originals* in its place says."""
    for value, original in zip(values, originals):
        if not is_as(value, original):
            return False
    return True


def is_as(value: object, original: Original | None) -> bool:
    """Say whether *value* is what *original* says; where that is None nobody knows, so False.

    They tell 1 from True and 1.0, a list from a tuple, and one order of keys from another, at a
    fraction of what encoding costs.
    """
    if isinstance(original, dict):
        return type(value) is dict and _is_flat_as(cast("Flat", value), cast("Flat", original))
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
        if name != here:
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
    """Return the fingerprint: equal for equal values of the same types, and for no others."""
    try:
        return _dumps(value, VERSION)
    except ValueError:
        return None
