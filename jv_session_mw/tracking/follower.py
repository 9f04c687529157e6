"""Tells a tracker what the middleware commits, moves and deletes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from jv_session_mw.changes import Changes
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.follower import Committed
from jv_session_mw.tracking.snapshot import snapshot_of
from jv_session_mw.tracking.texts import LONGEST_TITLE
from jv_session_mw.tracking.tracker import SessionTracker

ENDS: dict[str, Literal["archived", "deleted"]] = {"archive": "archived", "delete": "deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPolicy:
    """How sessions follow their conversations.

    *on_delete* says whether a session is archived or deleted when its conversation is deleted. With
    *snapshot* the state and the last messages are kept beside the session, up to 256 KiB, so that
    `conversation.resume()` can bring back what has expired in the store. Raises
    `ConfigurationError` for another *on_delete*.
    """

    on_delete: Literal["archive", "delete"] = "archive"
    snapshot: bool = False

    def __post_init__(self) -> None:
        if self.on_delete not in ENDS:
            raise ConfigurationError(f"on_delete={self.on_delete!r}: give 'archive' or 'delete'")


class TrackerFollower:
    """Lets *tracker* follow the conversations, as *policy* says."""

    def __init__(self, tracker: SessionTracker, policy: TrackPolicy) -> None:
        self.tracker = tracker
        self._policy = policy

    def committed(self, id: str, owner: str | None, commit: Committed) -> None:
        snapshot = commit.snapshot
        if not snapshot.total and not commit.said:
            return  # a session begins with the first message
        self.tracker.touch(
            id,
            owner=owner,
            messages=commit.said,
            title=_opening(commit) if commit.said > 0 else None,
            snapshot=snapshot_of(snapshot) if self._policy.snapshot else None,
        )

    def moved(self, was: tuple[str, str | None], now: tuple[str, str | None]) -> None:
        self.tracker.moved(now[0], owner=now[1], was=was[0], was_owner=was[1])

    def deleted(self, id: str, owner: str | None) -> None:
        self.tracker.ended(id, owner=owner, status=ENDS[self._policy.on_delete])

    async def resumed(self, id: str, owner: str) -> None:
        await self.tracker.resume(id, owner=owner)

    async def kept(self, id: str, owner: str) -> Changes | None:
        snapshot = await self.tracker.snapshot(id, owner=owner)
        return None if snapshot is None else snapshot.changes()


def _opening(commit: Committed) -> str | None:
    """Return what the user said first, if this commit has added it."""
    if commit.snapshot.total > len(commit.messages):
        return None  # there are older ones
    if any(_is_users(message) for message in commit.messages[: commit.old]):
        return None
    said = (message for message in commit.messages[commit.old :] if _is_users(message))
    return next((_text_of(message) for message in said), None)


def _is_users(message: object) -> bool:
    return isinstance(message, dict) and cast("dict[str, Any]", message).get("role") == "user"


def _text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message: a string, or the parts that are text."""
    content = message.get("content") or message.get("parts") or ""
    if isinstance(content, str):
        return content[: 4 * LONGEST_TITLE]
    if not isinstance(content, (list, tuple)):
        return ""
    return " ".join(_texts(cast("Iterable[Any]", content)))


def _texts(parts: Iterable[Any]) -> Iterable[str]:
    for part in parts:
        text = cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text
