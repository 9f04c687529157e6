"""The messages that were read lately: what comes again and again is copied, not decoded."""

from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from jv_session_mw.codec import Codec
from jv_session_mw.fingerprints import Fingerprint, flat_copy_of, value_of
from jv_session_mw.messages import Message
from jv_session_mw.stretch import Stretch

MAX_BYTES: Final = 32 * 2**20
SECONDS: Final = 300.0
WIDEST: Final = 4  # bytes of a character, in a text that has another than those of ASCII
OVERHEAD_BYTES: Final = 300  # of a dict, and of the place that it takes here
PART_BYTES: Final = 150  # of a name, of what it names, and of the place that both take


class MessageCache:
    """Decodes stored messages, and keeps by their bytes what those are that come again.

    Of the messages of a turn, most were there in the turn before. Only what is flat is kept, as
    nothing copies lists or dicts sooner than they are decoded, and only what was read, since what a
    codec was given to write need not be what it wrote. What comes for the first time may never come
    again: only that it came is noted.

    Of two generations, the recent one takes in what comes. It becomes the earlier one, in place of
    that, once it has half of *max_bytes*, by an estimate from above, or when something is read
    *seconds* after it began: what has not come again by then is forgotten.
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
        """Return the messages of *stretch* and the fingerprint of each; None while that is unknown.

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
        """Put in what is not known of *stretch*."""
        numbers, values = stretch.numbers, stretch.values
        places = [at for at, flat in enumerate(fingerprints) if flat is None]
        decoded = self._codec.decode_all(
            [values[at] for at in places], lambda at: f"message {numbers[places[at]]}"
        )
        for place, at in enumerate(places):
            data, messages[at] = values[at], decoded[place]
            if data in self._recent or data in self._earlier:
                fingerprints[at] = flat_copy_of(decoded[place])
            self._keep(data, fingerprints[at])

    def _found_earlier(self, data: bytes) -> Fingerprint | None:
        flat = self._earlier.get(data)
        if flat is not None:
            self._keep(data, flat)
        return flat

    def _keep(self, data: bytes, flat: Fingerprint | None) -> None:
        """Note that *data* has come, and what it is if that is known."""
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
    """Return the bytes that both take at most."""
    if flat is None:
        return len(data) + OVERHEAD_BYTES
    characters = len(data) if data.isascii() else WIDEST * len(data)
    parts = len(cast("dict[object, object]", flat)) if isinstance(flat, dict) else 0
    return len(data) + characters + OVERHEAD_BYTES + PART_BYTES * parts
