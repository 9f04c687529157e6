"""The message log as a list."""

import operator
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Self, SupportsIndex, TypeAlias, cast, overload

from jv_session_mw.errors import ConversationNotLoaded, UnsupportedEdit
from jv_session_mw.fingerprints import Fingerprint, fill_in

Message: TypeAlias = dict[str, Any]

NO_REORDER = (
    "the stored messages are a log: append, change or remove, but do not insert or reorder; "
    "for a prompt build a list of your own, as in [system, *conversation.messages]"
)


class Source(Protocol):
    """What can load older messages; held weakly, so that a conversation is no reference cycle."""

    async def older(self, count: int) -> list[Message]: ...


class Messages(list[Message]):
    """The last messages of the conversation, oldest first; what you do to them is saved.

    It is a real list, so that it can be given to a model's client or a JSON response as it is.
    At first only the last messages are here, as many as the store's `window`: `unseen` older ones
    stay in the store until `await messages.older()` brings them in.
    """

    __slots__ = ("_source", "clears", "fingerprints", "shortest", "unlooked", "unseen")

    def __init__(
        self,
        messages: list[Message],
        fingerprints: list[Fingerprint | None],
        unseen: int,
        source: "weakref.ref[Source]",
    ) -> None:
        self.extend(messages)
        self.fingerprints = fingerprints
        self.unseen = unseen
        self.clears = 0
        self.shortest = self.unlooked = len(messages)
        self._source = source

    @property
    def total(self) -> int:
        """The number of messages, including those that are not here."""
        return self.unseen + len(self)

    async def older(self, count: int = 50) -> list[Message]:
        """Bring in up to *count* messages from before the first one, and return them.

        Raises `ConversationNotLoaded` when the conversation itself is gone from memory.
        """
        if not self.unseen or count <= 0:
            return []
        source = self._source()
        if source is None:
            raise ConversationNotLoaded(
                "these messages have outlived their conversation: keep it as long as you use them"
            )
        return await source.older(count)

    def clear(self) -> None:
        """Remove every message, also those that are not here."""
        self.look()
        super().clear()
        self.clears += 1
        self.unseen = 0

    def copy(self) -> list[Message]:
        """Return a plain list: changes to it are not saved, changes to its messages are."""
        return list(self)

    __copy__ = copy

    def __reduce__(self) -> tuple[type[list[Message]], tuple[list[Message]]]:
        """Let `copy.deepcopy` and `pickle` make a plain list, without the store behind this one."""
        return list, (list(self),)

    def holds(self, message: Message) -> bool:
        """Return whether *message* itself is here, and not only an equal one.

        Nobody gets hold of another message by this, so none has to be noted as looked at.
        """
        return any(held is message for held in super().__reversed__())

    # Whoever gets hold of a message may change it, so its fingerprint is taken before that. Until
    # then there is nothing to compare. Removing or replacing a message counts as a look at it too,
    # so that the first `unlooked` messages are always those that were loaded.

    def look(self, index: SupportsIndex | slice = 0) -> None:
        """Take the fingerprints from *index* on, before anybody can change one of the messages."""
        if self.unlooked:
            first = min(self.unlooked, _first(index, len(self)))
            looked_at = super().__getitem__(slice(first, self.unlooked))
            fill_in(self.fingerprints, cast("list[object]", looked_at), first)
            self.unlooked = first

    def __iter__(self) -> Iterator[Message]:
        self.look()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Message]:
        self.look()
        return super().__reversed__()

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Message: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Message]: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Message | list[Message]:
        self.look(index)
        return super().__getitem__(index)

    @overload
    def __setitem__(self, index: SupportsIndex, message: Message, /) -> None: ...
    @overload
    def __setitem__(self, index: slice, messages: Iterable[Message], /) -> None: ...
    def __setitem__(
        self, index: SupportsIndex | slice, value: Message | Iterable[Message], /
    ) -> None:
        self.look(0 if value is self else index)
        super().__setitem__(index, value)  # type: ignore[index, assignment] # pyright: ignore[reportArgumentType, reportCallIssue]
        self._note_removal()

    def __delitem__(self, index: SupportsIndex | slice, /) -> None:
        self.look(index)
        super().__delitem__(index)
        self._note_removal()

    def pop(self, index: SupportsIndex = -1, /) -> Message:
        self.look(index)
        popped = super().pop(index)
        self._note_removal()
        return popped

    def remove(self, message: Message, /) -> None:
        self.look()
        super().remove(message)
        self._note_removal()

    def _note_removal(self) -> None:
        """Note how short the list is: what is appended later never replaces what was removed."""
        self.shortest = min(self.shortest, len(self))

    def __add__(self, other: list[Any], /) -> list[Any]:
        return list(self) + other

    def __radd__(self, other: list[Any], /) -> list[Any]:
        return other + list(self)

    def __mul__(self, times: SupportsIndex, /) -> list[Message]:
        return list(self) * times

    __rmul__ = __mul__

    # In place, as a list does it: a class that defines `__add__` loses those that it inherits.
    def __iadd__(self, other: Iterable[Message], /) -> Self:  # type: ignore[override, misc]
        self.extend(other)
        return self

    def __imul__(self, times: SupportsIndex, /) -> Self:
        self.look()
        return super().__imul__(times)

    def insert(self, index: SupportsIndex, object: Message, /) -> None:
        """Append *object*; raises `UnsupportedEdit` for any other place than the end."""
        if index.__index__() < len(self):
            raise UnsupportedEdit(NO_REORDER)
        self.append(object)

    def sort(self, **_: object) -> None:
        """Raise `UnsupportedEdit`: a log keeps the order in which things happened."""
        raise UnsupportedEdit(NO_REORDER)

    def reverse(self) -> None:
        """Raise `UnsupportedEdit`: a log keeps the order in which things happened."""
        raise UnsupportedEdit(NO_REORDER)


def _first(index: SupportsIndex | slice, count: int) -> int:
    """Return the first place of *count* that *index* may name, or one before it."""
    if isinstance(index, slice):
        start, stop, step = index.indices(count)
        return start if step > 0 else stop + 1
    at = operator.index(index)
    return at if at >= 0 else max(0, at + count)
