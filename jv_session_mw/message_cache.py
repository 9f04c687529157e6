"""The messages that were read lately: one that comes again is copied, for a fifth of the price."""

from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from jv_session_mw.changes import Stretch
from jv_session_mw.codec import Codec
from jv_session_mw.messages import Message
from jv_session_mw.originals import Original, copy_of, flat_of

MAX_BYTES: Final = 32 * 2**20
SECONDS: Final = 300.0
WIDEST: Final = 4  # bytes of a character, in a text that has another than those of ASCII
OVERHEAD_BYTES: Final = 300  # of a dict, and of the place that it takes here
PART_BYTES: Final = 150  # of a name, of what it names, and of the place that both take


class MessageCache:
    """Decodes stored messages, and keeps by their bytes what the flat ones are.

    One with lists or dicts inside is decoded each time, as nothing copies it sooner. Of the
    messages of a turn, most were there in the turn before. Only what was read is kept: what a codec
    was given to write need not be what it wrote. Of two generations, the recent one takes in what
    comes. It becomes the earlier one, in place of that, once it has half of *max_bytes*, by an
    estimate from above, or when something is read *seconds* after it began: what has not come again
    by then is forgotten.
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
        self._earlier: dict[bytes, Original] = {}
        self._recent: dict[bytes, Original] = {}
        self._bytes = 0
        self._due = clock() + seconds

    def read(self, stretch: Stretch) -> tuple[list[Message], list[Original | None]]:
        """Return the messages of *stretch*, and what they are, None for what is not flat.

        Raises `UnreadableConversation`, which names the message.
        """
        self._forget_old()
        recent, originals = self._recent, list[Original | None]()
        messages: list[object] = []
        for data in stretch.values:
            original = recent.get(data)
            if original is None:
                return self._decoded(stretch)
            originals.append(original)
            messages.append(copy_of(original))
        return cast("list[Message]", messages), originals

    def _decoded(self, stretch: Stretch) -> tuple[list[Message], list[Original | None]]:
        """Read *stretch*, of which not all is known."""
        originals = [self._found(data) for data in stretch.values]
        unknown = [data for at, data in enumerate(stretch.values) if originals[at] is None]

        def where(at: int) -> str:
            numbers = [
                number for place, number in enumerate(stretch.numbers) if originals[place] is None
            ]
            return f"message {numbers[at]}"

        decoded = iter(self._codec.decode_all(unknown, where))
        messages: list[object] = []
        for at, data in enumerate(stretch.values):
            original = originals[at]
            if original is not None:
                messages.append(copy_of(original))
                continue
            message = next(decoded)
            messages.append(message)
            originals[at] = flat = flat_of(message)
            self._keep(data, flat)
        return cast("list[Message]", messages), originals

    def _found(self, data: bytes) -> Original | None:
        original = self._recent.get(data)
        if original is None:
            original = self._earlier.get(data)
            self._keep(data, original)
        return original

    def _keep(self, data: bytes, flat: Original | None) -> None:
        if flat is None or data in self._recent:
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


def _size_of(data: bytes, flat: Original) -> int:
    """Return the bytes that both take at most."""
    characters = len(data) if data.isascii() else WIDEST * len(data)
    parts = len(cast("dict[object, object]", flat)) if isinstance(flat, dict) else 0
    return len(data) + characters + OVERHEAD_BYTES + PART_BYTES * parts
