"""The message log as a list, and what was done to it as a delta."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias

from msgspec import Struct, field

from jv_session_mw.changes import Changes, Put
from jv_session_mw.codec import Codec
from jv_session_mw.errors import SessionError, UnsupportedEdit, UnsupportedValue

Message: TypeAlias = dict[str, Any]

NO_REORDER = (
    "the stored messages are a log: append, change or remove, but do not insert or reorder; "
    "for a prompt build a list of your own, as in [system, *conversation.messages]"
)


class Messages(list[Message]):
    """The last messages of the conversation, oldest first; what you do to them is saved.

    It is a real list, so that it can be handed to a model's client or a JSON response as it is.
    Only the store's `window` is here at first: `unseen` older ones stay in the store until
    `await messages.older()` brings them in.
    """

    __slots__ = ("_fetch", "clears", "unseen")

    def __init__(
        self,
        messages: Sequence[Message],
        unseen: int,
        fetch: Callable[[int], Awaitable[list[Message]]],
    ) -> None:
        super().__init__(messages)
        self.unseen = unseen
        self.clears = 0
        self._fetch = fetch

    @property
    def total(self) -> int:
        """The number of messages, with those that are not here."""
        return self.unseen + len(self)

    async def older(self, count: int = 50) -> list[Message]:
        """Bring in up to *count* messages from before the first one, and return them."""
        return await self._fetch(count) if self.unseen and count > 0 else []

    def clear(self) -> None:
        """Remove every message, also those that are not here."""
        super().clear()
        self.clears += 1
        self.unseen = 0

    def __copy__(self) -> list[Message]:
        """Return a plain list: what is done to it is not saved."""
        return list(self)

    def __reduce__(self) -> tuple[type[list[Message]], tuple[list[Message]]]:
        """Let `copy.deepcopy` and `pickle` make a plain list, without the store behind this one."""
        return list, (list(self),)

    def insert(self, index: SupportsIndex, object: Message, /) -> None:
        """Append *object*; raises `UnsupportedEdit` for any other place than the end."""
        if index.__index__() < len(self):
            raise UnsupportedEdit(NO_REORDER)
        self.append(object)

    def sort(self, **_: object) -> None:
        """Raise `UnsupportedEdit`: the order of a log is what happened."""
        raise UnsupportedEdit(NO_REORDER)

    def reverse(self) -> None:
        """Raise `UnsupportedEdit`: the order of a log is what happened."""
        raise UnsupportedEdit(NO_REORDER)


class Logged(Struct):
    """One message of the log as it is stored, and the object that was made of it."""

    seq: int
    data: bytes
    value: Message


class LogEdit(Struct):
    """The log as it will be once a delta has been stored; appended entries have no number yet.

    `size` is the length of the log that it was made from, `clears` how often that was cleared.
    """

    size: int
    clears: int
    after: list[Logged] = field(default_factory=list[Logged])
    appended: list[Logged] = field(default_factory=list[Logged])
    refused: list[SessionError] = field(default_factory=list[SessionError])


def diff(
    log: list[Logged], messages: Messages, clears: int, codec: Codec, changes: Changes
) -> LogEdit:
    """Write into *changes* what makes *log* into *messages*, and return the log after that.

    *clears* is how often the messages had been cleared when *log* was stored.

    Messages are told apart by identity, so that one which was changed in place is a change and
    not a removal and an addition. A value that cannot be stored is refused and left for later,
    with all that was appended after it, so that the order stays. Raises `UnsupportedEdit`.
    """
    edit = LogEdit(len(log), messages.clears)
    if messages.clears > clears and log:
        changes.cleared = log[-1].seq
        log = []
    at = 0
    fresh: list[Message] = []
    kept: set[int] = set()
    for message in messages:
        found = _find(log, at, message, kept)
        if found is None:
            fresh.append(message)
            continue
        if fresh or found > at:
            _fill_gap(log[at:found], fresh, codec, changes, edit)
            fresh = []
        _keep(log[found], message, codec, changes, edit)
        kept.add(found)
        at = found + 1
    tail = log[at:]
    _fill_gap(tail, fresh[: len(tail)], codec, changes, edit)
    _append(fresh[len(tail) :], codec, changes, edit)
    return edit


def _find(log: list[Logged], at: int, message: Message, kept: set[int]) -> int | None:
    if at < len(log) and log[at].value is message:
        return at
    for index in range(at, len(log)):
        if log[index].value is message:
            return index
    if any(log[index].value is message for index in range(at) if index not in kept):
        raise UnsupportedEdit(NO_REORDER)  # its place has been passed
    return None


def _fill_gap(
    gap: list[Logged], fresh: list[Message], codec: Codec, changes: Changes, edit: LogEdit
) -> None:
    """Let new messages take the places of those that were there, and drop the rest."""
    if len(fresh) > len(gap):
        raise UnsupportedEdit(NO_REORDER)
    for entry, message in zip(gap, fresh, strict=False):
        _keep(entry, message, codec, changes, edit)
    changes.dropped += [entry.seq for entry in gap[len(fresh) :]]


def _keep(entry: Logged, message: Message, codec: Codec, changes: Changes, edit: LogEdit) -> None:
    kept = entry
    if not codec.unchanged(message, entry.data):
        where = f"messages[{len(edit.after)}]"
        try:
            data = codec.encode(message, where)
        except UnsupportedValue as error:
            edit.refused.append(error)
            edit.after.append(entry)
            return
        if data != entry.data and data != codec.encode(codec.decode(entry.data, where), where):
            changes.replaced[entry.seq] = Put(data, entry.data)
        kept = Logged(entry.seq, data, message)
    edit.after.append(kept)


def _append(fresh: list[Message], codec: Codec, changes: Changes, edit: LogEdit) -> None:
    for message in fresh:
        try:
            data = codec.encode(message, f"messages[{len(edit.after)}]")
        except UnsupportedValue as error:
            edit.refused.append(error)
            return
        entry = Logged(0, data, message)
        edit.after.append(entry)
        edit.appended.append(entry)
        changes.appended.append(data)
