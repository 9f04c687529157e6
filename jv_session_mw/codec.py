"""Bytes <-> values, and the promise that a value comes back as it was.

Every encoded value begins with a header that says how it was written: `j1;` is plain JSON, `t1;`
is JSON in which the types that JSON lacks are tagged. Whatever begins otherwise was written by
somebody else or by a newer version, and is refused rather than guessed at.
"""

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Protocol, cast
from uuid import UUID

import msgspec

from jv_session_mw.errors import UnreadableConversation, UnsupportedValue

PLAIN = b"j1;"
TAGGED = b"t1;"
HEADERS = (PLAIN, TAGGED)
HEADER_BYTES = 3
TAG = "$t"
FOREIGN = "it was written by another codec or version"

# What reading corrupt or foreign bytes can raise, from the JSON decoder or a tagged type's reader.
UNREADABLE = (
    msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError,
    RecursionError,
)  # fmt: skip


class Codec(Protocol):
    """Turns one value into bytes and back; compression or encryption wraps another codec."""

    def encode(self, value: object, where: str) -> bytes:
        """Return the bytes, or raise `UnsupportedValue` with the path of the culprit.

        The path begins with *where*.
        """
        ...

    def decode(self, data: bytes, where: str) -> object:
        """Return the value, or raise `UnreadableConversation` naming *where*."""
        ...

    def decode_all(self, items: Sequence[bytes], where: Callable[[int], str]) -> list[object]:
        """Return the value of each item, or raise `UnreadableConversation` naming *where* of it."""
        ...

    def unchanged(self, value: object, data: bytes) -> bool:
        """Say whether *value* surely still is what *data* holds. Cheap; in doubt, False."""
        ...

    def claims(self, data: bytes) -> bool:
        """Say whether *data* has the header of this codec, whatever comes after it. Cheap."""
        ...


class JsonCodec:
    """JSON (RFC 8259) that refuses what it would change, and keeps date and number types.

    Each encoded value is decoded again and compared, at the speed of C: NaN, sets, keys that are
    not strings and the like never compare equal. Only what fails that test is walked in Python,
    either to tag datetimes, decimals, UUIDs, bytes and tuples, or to name the culprit.
    """

    __slots__ = ()

    def encode(self, value: object, where: str) -> bytes:
        try:
            data = _encode(value)
            if _decode(data) == value:
                return PLAIN + data
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            pass  # the walk below finds out where and why
        try:
            data = _encode(_tag(value, where))
            if _untag(_decode(data)) == value:
                return TAGGED + data
        except RecursionError as error:
            raise UnsupportedValue(where, "it is nested too deeply, or contains itself") from error
        except (ValueError, ArithmeticError) as error:
            raise UnsupportedValue(
                where, f"it cannot be written and read again: {error}"
            ) from error
        raise UnsupportedValue(where, f"{type(value).__qualname__} does not come back as it was")

    def decode(self, data: bytes, where: str) -> object:
        plain = data.startswith(PLAIN)
        if not plain and not self.claims(data):
            raise UnreadableConversation(where, FOREIGN)
        try:
            value = _decode(data[HEADER_BYTES:])
            return value if plain else _untag(value)
        except UNREADABLE as error:
            raise UnreadableConversation(where, "it is not the JSON it claims to be") from error

    def decode_all(self, items: Sequence[bytes], where: Callable[[int], str]) -> list[object]:
        try:
            plain = [_decode(item[HEADER_BYTES:]) for item in items if item[:HEADER_BYTES] == PLAIN]
            if len(plain) == len(items):
                return plain
        except UNREADABLE:
            pass  # one by one, to find out which it is
        return [self.decode(item, where(at)) for at, item in enumerate(items)]

    def unchanged(self, value: object, data: bytes) -> bool:
        if not data.startswith(PLAIN):
            return False
        stored = data[HEADER_BYTES:]
        try:
            # The bytes tell 1 from True, the values tell a date from the text that it encodes to.
            return _encode(value) == stored and bool(_decode(stored) == value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return False

    def claims(self, data: bytes) -> bool:
        return data.startswith(HEADERS)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _tag(value: object, path: str) -> object:
    """Return *value* with what JSON lacks tagged, or raise `UnsupportedValue` for *path*."""
    if isinstance(value, dict):
        return _tag_dict(cast("dict[object, object]", value), path)
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_tag(item, f"{path}[{at}]") for at, item in enumerate(items)]
    if type(value) is tuple:
        members = cast("tuple[object, ...]", value)
        return {TAG: "tuple", "v": [_tag(item, f"{path}[{at}]") for at, item in enumerate(members)]}
    return _tag_scalar(value, path)


def _tag_scalar(value: object, path: str) -> object:
    if value is None or isinstance(value, (bool, int)):
        return value
    if type(value) is str or (isinstance(value, str) and isinstance(value, Enum)):
        return _text(value, path)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, float):
        raise UnsupportedValue(path, f"JSON has no {value}; use None or a string")
    if type(value) in _WRITERS:
        name, write = _WRITERS[type(value)]
        return {TAG: name, "v": write(value)}
    raise UnsupportedValue(path, _advice(value))


def _tag_dict(value: dict[object, object], path: str) -> dict[str, object]:
    tagged: dict[str, object] = {}
    for name, item in value.items():
        if not isinstance(name, str):
            raise UnsupportedValue(path, f"its key {name!r} is not a string")
        tagged[_text(name, path)] = _tag(item, f"{path}.{name}")
    return {TAG: "dict", "v": tagged} if TAG in tagged else tagged


def _text(value: str, path: str) -> str:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnsupportedValue(path, "it holds a lone surrogate, which UTF-8 cannot") from error
    return value


def _untag(value: object) -> object:
    if isinstance(value, list):
        return [_untag(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, object]", value)
    if TAG in pairs:
        return _READERS[cast("str", pairs[TAG])](pairs["v"])
    return {name: _untag(item) for name, item in pairs.items()}


def check_name(name: object) -> None:
    """Raise `UnsupportedValue` unless *name* can be the name of a stored field."""
    if not isinstance(name, str):
        raise UnsupportedValue("state", f"its key {name!r} is not a string")
    if not name.isascii():
        _text(name, "the name of a field in state")


def _timedelta_parts(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _timedelta(parts: list[int]) -> timedelta:
    return timedelta(*parts)


def _tuple(items: list[object]) -> tuple[object, ...]:
    return tuple(_untag(item) for item in items)


def _dict(pairs: dict[str, object]) -> dict[str, object]:
    return {name: _untag(value) for name, value in pairs.items()}


def _advice(value: object) -> str:
    name = type(value).__qualname__
    if isinstance(value, (set, frozenset)):
        return f"JSON has no {name}; use a list"
    return f"a {name} would not come back as one; store plain data, or give the store a state_type"


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
