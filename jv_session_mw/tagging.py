"""Dates, decimals, UUIDs, bytes and tuples, which JSON lacks, as JSON under a tag.

This must not be compiled: for a value that is nested too deeply, or contains itself, Python raises
`RecursionError`, where compiled code would crash.
"""

import math
from collections.abc import Callable
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import cast
from uuid import UUID

from jv_session_mw.errors import UnsupportedValue

TAG = "$t"


def tagged(value: object, path: str) -> object:
    """Return *value* with what JSON lacks tagged, or raise `UnsupportedValue` for *path*."""
    if isinstance(value, dict):
        return _tagged_dict(cast("dict[object, object]", value), path)
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [tagged(item, f"{path}[{at}]") for at, item in enumerate(items)]
    if type(value) is tuple:
        members = cast("tuple[object, ...]", value)
        return {
            TAG: "tuple",
            "v": [tagged(item, f"{path}[{at}]") for at, item in enumerate(members)],
        }
    return _tagged_scalar(value, path)


def _tagged_scalar(value: object, path: str) -> object:
    if type(value) is str or (isinstance(value, str) and isinstance(value, Enum)):
        return _text(value, path)
    if isinstance(value, float) and not math.isfinite(value):
        raise UnsupportedValue(path, f"JSON has no {value}; use None or a string")
    if value is None or _is_plain_number(value):
        return value
    if type(value) in _WRITERS:
        name, write = _WRITERS[type(value)]
        return {TAG: name, "v": write(value)}
    raise UnsupportedValue(path, _advice(value, path))


def _is_plain_number(value: object) -> bool:
    """Say whether *value* is what the encoder takes for a number: `numpy.float64` is not."""
    is_number = isinstance(value, (int, float))
    return is_number and (type(value) in (bool, int, float) or isinstance(value, Enum))


def _tagged_dict(value: dict[object, object], path: str) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for name, item in value.items():
        if not isinstance(name, str):
            raise UnsupportedValue(path, f"its key {name!r} is not a string")
        pairs[_text(name, path)] = tagged(item, f"{path}.{name}")
    return {TAG: "dict", "v": pairs} if TAG in pairs else pairs


def _text(value: str, path: str) -> str:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnsupportedValue(path, "it holds a lone surrogate, which UTF-8 cannot") from error
    return value


def with_offsets(value: object) -> object:
    """Return *value* with the offset from UTC in place of the time zone of each datetime.

    This is how it comes back. To compare it with the original needs this, because a time in the
    hour that a clock change repeats equals no time of another zone.
    Source: PEP 495, "Inter-zone comparison".
    """
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value)
        return {name: with_offsets(item) for name, item in pairs.items()}
    if isinstance(value, list):
        return [with_offsets(item) for item in cast("list[object]", value)]
    if type(value) is tuple:
        return tuple(with_offsets(item) for item in cast("tuple[object, ...]", value))
    offset = value.utcoffset() if isinstance(value, datetime) else None
    if offset is None:
        return value
    return cast("datetime", value).replace(tzinfo=timezone(offset), fold=0)


def untagged(value: object) -> object:
    """Return *value* without its tags; corrupt ones raise one of the codec's `UNREADABLE`."""
    if isinstance(value, list):
        return [untagged(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, object]", value)
    if TAG in pairs:
        return _READERS[cast("str", pairs[TAG])](pairs["v"])
    return {name: untagged(item) for name, item in pairs.items()}


def checked_name(name: object) -> str:
    """Return *name*, or raise `UnsupportedValue` unless it can be that of a stored field."""
    if not isinstance(name, str):
        raise UnsupportedValue("state", f"its key {name!r} is not a string")
    if not name.isascii():
        _text(name, "the name of a field in state")
    return name


def _timedelta_parts(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _timedelta(parts: list[int]) -> timedelta:
    return timedelta(*parts)


def _tuple(items: list[object]) -> tuple[object, ...]:
    return tuple(untagged(item) for item in items)


def _dict(pairs: dict[str, object]) -> dict[str, object]:
    return {name: untagged(value) for name, value in pairs.items()}


def _advice(value: object, path: str) -> str:
    name = type(value).__qualname__
    if isinstance(value, (set, frozenset)):
        return f"JSON has no {name}; use a list"
    advice = f"a {name} would not come back as one; store {_as_plain_data(value)}"
    return f"{advice}, or give the store a state_type" if path.startswith("state.") else advice


def _as_plain_data(value: object) -> str:
    if callable(getattr(value, "model_dump", None)):
        return "its model_dump()"
    return "its dataclasses.asdict()" if is_dataclass(value) else "plain data"


# How each tagged type is written, and read back from what was written.
_WRITERS: dict[type, tuple[str, Callable[..., object]]] = {
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", _timedelta_parts),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    bytes: ("bytes", bytes.hex),
}
_READERS: dict[str, Callable[..., object]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": _timedelta,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "tuple": _tuple,
    "dict": _dict,
}
