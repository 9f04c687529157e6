"""The messages that were read lately: one that is read again is copied, not decoded."""

from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from jv_session_mw.codec import Codec
from jv_session_mw.fingerprints import Fingerprint, flat_copy_of, value_of
from jv_session_mw.messages import Message
from jv_session_mw.stretch import Stretch

MAX_BYTES: Final = 32 * 2**20
SECONDS: Final = 300.0
WIDEST: Final = 4  # bytes per character of a text that is not all ASCII, at most
OVERHEAD_BYTES: Final = 300  # of a dict and its place here
PART_BYTES: Final = 150  # of a key and a value, and their place in the dict


class MessageCache:
    """Decodes stored messages, and keeps the value of those that are read again, by their bytes.

    Most messages of a turn were there in the turn before. Only flat dicts are kept: to copy what is
    nested is no faster than to decode it. And only what was read, since a codec need not give back
    what it was given to write. A message that is read for the first time may never be read again,
    so only its bytes are noted.

    There are two generations, and what is read goes into the recent one. When that takes half of
    *max_bytes*, estimated from above, or at the first read *seconds* after it began, it replaces
    the earlier one: what has not been read again by then is forgotten.
    """

    __slots__ = (
        "_bytes", "_clock", "_codec", "_due", "_earlier", "_max_bytes", "_recent", "_seconds",
    )  # fmt: skip

    def __init__(
        self,
        codec: Codec,
        *,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._codec = codec
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._clock = clock
        self._earlier: dict[bytes, Fingerprint | None] = {}
        self._recent: dict[bytes, Fingerprint | None] = {}
        self._bytes = 0
        self._due = clock() + seconds

    def read(self, stretch: Stretch) -> tuple[list[Message], list[Fingerprint | None]]:
        """Return the messages of *stretch*, and the fingerprint of each that is known.

        Raises `UnreadableConversation`, which names the message.
        """
        self._forget_old()
        recent, known = self._recent, True
        messages, fingerprints = list[object](), list[Fingerprint | None]()
        for data in stretch.values:
            flat = recent.get(data)
            if flat is None:
                flat = self._found_earlier(data)
            fingerprints.append(flat)
            if flat is None:
                known = False
                messages.append(None)
            else:
                messages.append(value_of(flat))
        if not known:
            self._decode(stretch, messages, fingerprints)
        return cast("list[Message]", messages), fingerprints

    def _decode(
        self, stretch: Stretch, messages: list[object], fingerprints: list[Fingerprint | None]
    ) -> None:
        """Decode the messages of *stretch* that are not known, and put them in their places."""
        numbers, values = stretch.numbers, stretch.values
        unknown = [at for at, flat in enumerate(fingerprints) if flat is None]
        decoded = self._codec.decode_all(
            [values[at] for at in unknown], lambda index: f"message {numbers[unknown[index]]}"
        )
        for index, at in enumerate(unknown):
            data, messages[at] = values[at], decoded[index]
            if data in self._recent or data in self._earlier:
                fingerprints[at] = flat_copy_of(decoded[index])
            self._keep(data, fingerprints[at])

    def _found_earlier(self, data: bytes) -> Fingerprint | None:
        flat = self._earlier.get(data)
        if flat is not None:
            self._keep(data, flat)
        return flat

    def _keep(self, data: bytes, flat: Fingerprint | None) -> None:
        """Note that *data* was read, with its value if that is to be kept."""
        if flat is None and data in self._recent:
            return
        size = _size_of(data, flat)
        if size > self._max_bytes // 2:
            return
        if self._bytes + size > self._max_bytes // 2:
            self._renew()
        self._recent[data] = flat
        self._bytes += size

    def _forget_old(self) -> None:
        late = self._clock() - self._due
        if late < 0:
            return
        self._renew()
        if late >= self._seconds:
            self._earlier = {}

    def _renew(self) -> None:
        self._earlier, self._recent = self._recent, {}
        self._bytes, self._due = 0, self._clock() + self._seconds


def _size_of(data: bytes, flat: Fingerprint | None) -> int:
    """Return an upper estimate of the bytes that both take."""
    if flat is None:
        return len(data) + OVERHEAD_BYTES
    characters = len(data) if data.isascii() else WIDEST * len(data)
    parts = len(cast("dict[object, object]", flat)) if isinstance(flat, dict) else 0
    return len(data) + characters + OVERHEAD_BYTES + PART_BYTES * parts
