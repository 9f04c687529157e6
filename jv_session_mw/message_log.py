"""The message log as it is stored, and the edit that makes it what the app has left."""

import weakref
from collections.abc import Callable
from typing import Final, cast

from jv_session_mw.changes import Changes
from jv_session_mw.codec import Codec
from jv_session_mw.errors import SessionError, UnsupportedValue
from jv_session_mw.fingerprints import Fingerprint, all_match, fill_in, fingerprint_of
from jv_session_mw.message_cache import MessageCache
from jv_session_mw.messages import Message, Messages, Source
from jv_session_mw.rewriting import Rewriting, common_start
from jv_session_mw.stretch import Stretch

# Reads messages without marking them as looked at: past the `__getitem__` of `Messages`.
_held: Final = cast("Callable[[Messages, slice], list[Message]]", list.__getitem__)  # pyright: ignore[reportUnknownMemberType]


class LogEdit:
    """What a commit does to the log, and the log as it will be after it.

    `size` is the length of the log that the edit was made from, `clears` how often the list had
    been cleared by then, and `shortest` how short it had been. `kept` are the entries that stay,
    `appended` the new ones, which have no number yet, and `values` the messages of both.
    `fingerprints` are those of the new messages, `kept_fingerprints` those of the kept ones, None
    when these are as they were.
    """

    __slots__ = (
        "appended", "clears", "fingerprints", "kept", "kept_fingerprints", "shortest", "size",
        "values",
    )  # fmt: skip

    def __init__(
        self,
        size: int,
        messages: Messages,
        kept: Stretch,
        values: list[Message],
        kept_fingerprints: list[Fingerprint | None] | None = None,
    ) -> None:
        self.size = size
        self.clears = messages.clears
        self.shortest = messages.shortest
        self.kept = kept
        self.values = values
        self.kept_fingerprints = kept_fingerprints
        self.appended: list[bytes] = []
        self.fingerprints: list[Fingerprint | None] = []


class MessageLog:
    """The entries that were loaded, and the list that was made of them for the app.

    `_values` are the messages of the entries, and `_fingerprints` are taken of them as they are
    stored. `messages` shares that list of fingerprints, and fills in what is missing before anybody
    gets hold of a message. `_end` is the highest number that may be stored, even if that message is
    not here any more; 0 when nothing is stored.
    """

    __slots__ = (
        "_cache", "_clears", "_codec", "_end", "_fingerprints", "_values", "entries", "messages",
    )  # fmt: skip

    def __init__(
        self,
        codec: Codec,
        cache: MessageCache,
        entries: Stretch,
        unseen: int,
        source: "weakref.ref[Source]",
    ) -> None:
        self._codec = codec
        self._cache = cache
        self._clears = 0
        self._end = _end_of(entries)
        self.entries = entries
        self._values, self._fingerprints = cache.read(entries)
        self.messages = Messages(self._values, self._fingerprints, unseen, source)

    def prepend(self, older: Stretch) -> list[Message]:
        """Take in *older* entries, and return their messages."""
        if not older:
            self.messages.unseen = 0
        values, fingerprints = self._cache.read(older)
        fill_in(fingerprints, cast("list[object]", values))
        self.messages.look()
        self.entries = older + self.entries
        self._values = values + self._values
        self._fingerprints[:0] = fingerprints
        self.messages[:0] = values
        self.messages.shortest += len(values)
        self.messages.unseen -= len(older)
        return values

    def is_as_stored(self) -> bool:
        """Return whether the messages are certainly as loaded. Cheap; False when unsure."""
        messages = self.messages
        return len(messages) == len(self._values) and self._begins_as_it_was(messages)

    def collect(self, changes: Changes, refused: list[SessionError]) -> LogEdit | None:
        """Write into *changes* what was done to the messages; return None if nothing was.

        For a value that cannot be stored an error goes into *refused*. It is left for later, with
        all that was appended after it, so that the order stays. Raises `UnsupportedEdit`.
        """
        messages, count = self.messages, len(self._values)
        if not self._end:  # nothing is stored, so earlier clears have nothing to clear
            self._clears = messages.clears
        if not self._begins_as_it_was(messages):
            edit, fresh = self._edited(_held(messages, slice(None)), changes, refused)
        elif len(messages) == count:
            return None
        else:
            kept = _held(messages, slice(count))
            edit = LogEdit(count, messages, self.entries, kept)
            fresh = _held(messages, slice(count, None))
        self._append(fresh, edit, refused)
        changes.appended = edit.appended
        return edit

    def absorb(self, edit: LogEdit, first_seq: int) -> None:
        """Take the log as *edit* has left it; *first_seq* is the number of its first new entry."""
        stored = stored_by(edit, first_seq)
        values, kept = edit.values, edit.kept_fingerprints
        meanwhile = len(self._values) - edit.size  # brought in by `older()`
        if meanwhile > 0:
            stored = self.entries[:meanwhile] + stored
            values = self._values[:meanwhile] + values
        if kept is not None:
            self._fingerprints[max(0, meanwhile) :] = kept
        self._fingerprints += edit.fingerprints
        self.entries, self._values = stored, values
        if stored.values or (not self.messages.unseen and self.messages.clears == edit.clears):
            self._end = _end_of(stored)
        self._clears = edit.clears
        if self.messages.shortest == edit.shortest + max(0, meanwhile):
            self.messages.shortest = min(len(values), len(self.messages))

    def _begins_as_it_was(self, messages: Messages) -> bool:
        count, unlooked = len(self._values), messages.unlooked
        if messages.clears != self._clears or len(messages) < count:
            return False
        if unlooked == count:
            return True
        looked_at = cast("list[object]", _held(messages, slice(unlooked, count)))
        return all_match(looked_at, self._fingerprints[unlooked:])

    def _edited(
        self, messages: list[Message], changes: Changes, refused: list[SessionError]
    ) -> tuple[LogEdit, list[Message]]:
        """Find what became of each entry, and return the edit and what comes after the last one."""
        self.messages.look()
        if self.messages.clears > self._clears and self._end:
            rewriting, fresh = self._filled_anew(messages, changes)
        else:
            rewriting = self._rewriting(changes)
            fresh = rewriting.walk(messages, self.messages.shortest)
        refused += rewriting.refused
        edit = LogEdit(
            len(self._values),
            self.messages,
            Stretch(rewriting.numbers, rewriting.stored),
            rewriting.kept,
            rewriting.fingerprints,
        )
        return edit, fresh

    def _filled_anew(
        self, messages: list[Message], changes: Changes
    ) -> tuple[Rewriting, list[Message]]:
        """Keep the first messages where they are the stored ones, and return what comes after.

        `messages = [*messages, new]` is an append: of two such turns, none stores the old ones
        again after those of the other.
        """
        first, count = common_start(messages, self._values, self._fingerprints)
        if not count:
            changes.cleared = self._end
            return self._rewriting(changes, len(self._values)), messages
        changes.cleared = self.entries.numbers[first] - 1
        rewriting = self._rewriting(changes, first)
        rewriting.keep(messages[:count])
        return rewriting, messages[count:]

    def _rewriting(self, changes: Changes, first: int = 0) -> Rewriting:
        """Return what goes along the entries from *first* on."""
        return Rewriting(
            self._codec,
            list(self.entries)[first:],
            self._values[first:],
            self._fingerprints[first:],
            changes,
        )

    def _append(self, fresh: list[Message], edit: LogEdit, refused: list[SessionError]) -> None:
        encode, appended, fingerprints = self._codec.encode, edit.appended, edit.fingerprints
        values = cast("list[object]", fresh)  # an app may append something else than a dict
        try:
            for at, message in enumerate(values, len(edit.values)):
                appended.append(encode(message, f"messages[{at}]"))
                fingerprints.append(fingerprint_of(message))
        except UnsupportedValue as error:
            refused.append(error)
            fresh = fresh[: len(appended)]
        edit.values += fresh


def stored_by(edit: LogEdit, first_seq: int) -> Stretch:
    """Return the log that *edit* leaves; *first_seq* is the number of its first new entry."""
    return edit.kept.extended(first_seq, edit.appended) if edit.appended else edit.kept


def _end_of(entries: Stretch) -> int:
    numbers = entries.numbers
    return numbers[-1] if numbers else 0
