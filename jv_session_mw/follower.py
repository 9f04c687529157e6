"""The interface to what follows conversations as they change, such as a session tracker."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from jv_session_mw.changes import Changes, Snapshot


class Committed(Struct, frozen=True):
    """What a commit did.

    `said` is the number of messages that it added, less those that it removed. `messages` are the
    newest messages after it, the first `old` of them from before it. `snapshot` is what is stored.
    """

    said: int
    old: int
    messages: Sequence[Mapping[str, Any]]
    snapshot: Snapshot


class Follower(Protocol):
    """Is told of each commit once it is stored, and of each move and delete.

    Those three happen within a request, so they must neither wait nor raise. `resumed` and `kept`
    serve `conversation.resume()`: they are awaited, and may raise.
    """

    def committed(self, id: str, owner: str | None, commit: Committed) -> None: ...
    def moved(self, was: tuple[str, str | None], now: tuple[str, str | None]) -> None: ...
    def deleted(self, id: str, owner: str | None) -> None: ...
    async def resumed(self, id: str, owner: str) -> None: ...
    async def kept(self, id: str, owner: str) -> Changes | None: ...


def committed(
    changes: Changes, before: int, after: Snapshot, messages: Sequence[Mapping[str, Any]]
) -> Committed:
    """Return what *changes* did to a conversation that had *before* messages and is now *after*."""
    added = len(changes.appended)
    removed = len(changes.dropped) + (before if changes.cleared else 0)
    return Committed(added - removed, len(messages) - added, messages, after)
