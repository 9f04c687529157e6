"""What became of the entries of a log that was edited, and not only appended to."""

from bisect import bisect_left

from jv_session_mw.changes import Changes, Put
from jv_session_mw.codec import Codec, encoded_anew
from jv_session_mw.errors import SessionError, UnsupportedEdit, UnsupportedValue
from jv_session_mw.fingerprints import Fingerprint, fingerprint_of, matches
from jv_session_mw.messages import NO_REORDER, Message


class Rewriting:
    """Walks once along the messages, beside the *entries* and the *values* that were made of them.

    Messages are told apart by identity: one that was changed in place is a replacement, not a
    removal and an addition. What is found goes into *changes*. `numbers` and `stored` are the
    entries that stay, `kept` and `fingerprints` belong to them.
    """

    __slots__ = (
        "_changes", "_codec", "_entries", "_fingerprints", "_passed", "_places", "_values",
        "fingerprints", "kept", "numbers", "refused", "stored",
    )  # fmt: skip

    def __init__(
        self,
        codec: Codec,
        entries: list[tuple[int, bytes]],
        values: list[Message],
        fingerprints: list[Fingerprint | None],
        changes: Changes,
    ) -> None:
        self._codec = codec
        self._entries = entries
        self._values = values
        self._fingerprints = fingerprints
        self._changes = changes
        self._passed: set[int] = set()
        self._places: dict[int, list[int]] = {}
        self.numbers: list[int] = []
        self.stored: list[bytes] = []
        self.kept: list[Message] = []
        self.fingerprints: list[Fingerprint | None] = []
        self.refused: list[SessionError] = []

    def walk(self, messages: list[Message], shortest: int) -> list[Message]:
        """Return the messages that come after the last entry; raises `UnsupportedEdit`.

        A message that was added after the list had shrunk to *shortest* is appended. It does not
        replace the one that was removed: another turn may have removed that too, and then this one
        would be lost with it.
        """
        at, fresh = 0, list[Message]()
        for message in messages:
            found = self._find(at + len(fresh), message)  # new ones before it take places too
            if found is None:
                fresh.append(message)
                continue
            if found > at:
                self._fill(at, found, fresh)
                fresh = []
            self._keep(found, message)
            self._passed.add(id(message))
            at = found + 1
        in_place = shortest - (len(messages) - len(fresh))
        left = max(0, min(len(self._entries) - at, in_place))
        self._fill(at, len(self._entries), fresh[:left])
        return fresh[left:]

    def keep(self, messages: list[Message]) -> None:
        """Take *messages* for what became of the first entries, and drop the rest."""
        self._fill(0, len(self._entries), messages)

    def _find(self, at: int, message: Message) -> int | None:
        if at < len(self._values) and self._values[at] is message:
            return at  # as it is for most
        if not self._places:
            for index, value in enumerate(self._values):
                self._places.setdefault(id(value), []).append(index)
        places = self._places.get(id(message), [])
        later = bisect_left(places, at)
        if later < len(places):
            return places[later]
        if places and id(message) not in self._passed:  # its place has been passed without it
            raise UnsupportedEdit(NO_REORDER)
        return None

    def _fill(self, start: int, stop: int, fresh: list[Message]) -> None:
        """Let *fresh* messages take the places from *start* on, and drop what is left of them."""
        for index, message in enumerate(fresh, start):
            self._keep(index, message)
        dropped = self._entries[start + len(fresh) : stop]
        self._changes.dropped += [number for number, _ in dropped]

    def _keep(self, index: int, message: Message) -> None:
        """Keep an entry, with *message* as its value."""
        number, stored = self._entries[index]
        now, fingerprint = stored, self._fingerprints[index]
        if not matches(message, fingerprint):
            try:
                now = self._written(message, stored, fingerprint)
                fingerprint = fingerprint_of(message)
            except UnsupportedValue as error:
                self.refused.append(error)
                message = self._values[index]
        if now is not stored:
            self._changes.replaced[number] = Put(now, stored)
        self.numbers.append(number)
        self.stored.append(now)
        self.kept.append(message)
        self.fingerprints.append(fingerprint)

    def _written(self, message: Message, stored: bytes, fingerprint: Fingerprint | None) -> bytes:
        """Return the bytes to store for *message*: *stored* itself if nothing has changed."""
        where = f"messages[{len(self.kept)}]"
        if fingerprint is None:  # it may be as it was: only its encoding tells
            return encoded_anew(self._codec, message, stored, where)
        data = self._codec.encode(message, where)
        return stored if data == stored else data


def common_start(
    messages: list[Message], values: list[Message], fingerprints: list[Fingerprint | None]
) -> tuple[int, int]:
    """Return from where on *values* are what *messages* begin with, and how many of them are.

    They are the same ones, or equal to them.
    """
    if not messages:
        return 0, 0
    first = _place_of(messages[0], values, fingerprints)
    count = 0
    for message, value, fingerprint in zip(
        messages, values[first:], fingerprints[first:], strict=False
    ):
        if message is not value and not matches(message, fingerprint):
            break
        count += 1
    return first, count


def _place_of(
    message: Message, values: list[Message], fingerprints: list[Fingerprint | None]
) -> int:
    """Return where *message* itself is, or an equal one; past the end when neither is there."""
    for at, value in enumerate(values):
        if message is value:
            return at
    for at, fingerprint in enumerate(fingerprints):
        if matches(message, fingerprint):
            return at
    return len(values)
