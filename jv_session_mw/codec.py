"""Bytes <-> values, and the promise that a value comes back as it was.

Every encoded value begins with a header that says how it was written: `j1;` is plain JSON, `t1;`
is JSON in which the types that JSON lacks are tagged. What begins with anything else was written by
another program or a newer version, and is refused.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

import msgspec
from mypy_extensions import mypyc_attr

from jv_session_mw.errors import UnreadableConversation, UnsupportedValue, caused
from jv_session_mw.tagging import tagged, untagged, with_offsets

PLAIN: Final = b"j1;"
TAGGED: Final = b"t1;"
HEADER_BYTES: Final = 3
DEEPEST: Final = 200  # levels; whoever reads may be deep in calls, which count as levels do
TOO_DEEP: Final = "it is nested too deeply, or contains itself"
FOREIGN: Final = "it was written by another codec or version"

# What reading corrupt or foreign bytes can raise, from the JSON decoder or a tagged type's reader.
UNREADABLE: Final = (
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
        """Say whether *value* is certainly still what *data* holds. Cheap; False when unsure."""
        ...

    def claims(self, data: bytes) -> bool:
        """Say whether *data* has the header of this codec, whatever comes after it. Cheap."""
        ...


def encoded_anew(codec: Codec, value: object, stored: bytes, where: str) -> bytes:
    """Return the bytes to store for *value*: *stored* itself if that holds it already.

    Comparing bytes is not enough: a codec that encrypts writes different ones each time, and
    *stored* may have been written by another version of the encoder.
    """
    if codec.unchanged(value, stored):
        return stored
    data = codec.encode(value, where)
    if data == stored or data == codec.encode(codec.decode(stored, where), where):
        return stored
    return data


@mypyc_attr(allow_interpreted_subclasses=True)
class JsonCodec:
    """JSON (RFC 8259) that refuses what it would change, and keeps date and number types.

    Each encoded value is decoded again and compared, at the speed of C: NaN, sets, keys that are
    not strings and the like never compare equal. Only what fails that test is walked in Python,
    either to tag datetimes, decimals, UUIDs, bytes and tuples, or to name the culprit. A dict that
    holds only strings needs no test.
    """

    __slots__ = ()

    def encode(self, value: object, where: str) -> bytes:
        try:
            data = _encode(value)
            if _is_of_texts(value):
                return PLAIN + data
            stored = _decode(data)
            if stored == value and not _is_too_deep(stored, data):
                return PLAIN + data
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            pass  # the walk below finds out where and why
        try:
            data = _encode(tagged(value, where))
            stored = _decode(data)
            if _is_too_deep(stored, data):
                raise UnsupportedValue(where, TOO_DEEP)
            again = untagged(stored)
            if again == value or again == with_offsets(value):
                return TAGGED + data
        except RecursionError as error:
            failure = UnsupportedValue(where, TOO_DEEP)
            raise caused(failure, by=error)
        except (ValueError, ArithmeticError) as error:
            failure = UnsupportedValue(where, f"it cannot be written and read again: {error}")
            raise caused(failure, by=error)
        raise UnsupportedValue(where, f"{type(value).__qualname__} does not come back as it was")

    def decode(self, data: bytes, where: str) -> object:
        plain = data.startswith(PLAIN)
        if not plain and not self.claims(data):
            raise UnreadableConversation(where, FOREIGN)
        try:
            value = _decode(data[HEADER_BYTES:])
            return value if plain else untagged(value)
        except UNREADABLE as error:
            failure = UnreadableConversation(where, "it is not the JSON it claims to be")
            raise caused(failure, by=error)

    def decode_all(self, items: Sequence[bytes], where: Callable[[int], str]) -> list[object]:
        try:
            plain = [_decode(item[HEADER_BYTES:]) for item in items if item.startswith(PLAIN)]
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
        return data[:HEADER_BYTES] in (PLAIN, TAGGED)


def _is_of_texts(value: object) -> bool:
    """Say whether *value* is a dict of nothing but strings, as most messages are.

    A string that can be encoded comes back as it was.
    """
    if type(value) is not dict:
        return False
    # A copy, since a thread of the app may be changing it.
    for name, part in cast("dict[object, object]", value).copy().items():
        if type(name) is not str or type(part) is not str:
            return False
    return True


def _is_too_deep(stored: object, data: bytes) -> bool:
    """Say whether *stored*, which was decoded from *data*, has more than `DEEPEST` levels."""
    if len(data) <= 2 * DEEPEST or data.count(b"[") + data.count(b"{") <= DEEPEST:
        return False
    level = [stored]
    for _ in range(DEEPEST):
        level = _containers_in(level)
        if not level:
            return False
    return True


def _containers_in(level: list[object]) -> list[object]:
    found = list[object]()
    for whole in level:
        if isinstance(whole, dict):
            for part in cast("dict[str, object]", whole).values():
                if isinstance(part, (dict, list)):
                    found.append(cast("object", part))
        elif isinstance(whole, list):
            for part in cast("list[object]", whole):
                if isinstance(part, (dict, list)):
                    found.append(cast("object", part))
    return found


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
