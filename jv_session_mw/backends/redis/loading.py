"""What `load.lua` is given for a load, and its answer as a snapshot."""

from typing import Final, cast

from jv_session_mw.backends.redis.layout import (
    LAYOUT,
    Found,
    complaint,
    edges,
    read_messages,
    read_snapshot,
)
from jv_session_mw.backends.redis.waiting import Reply
from jv_session_mw.changes import DELETED, MISSING, Snapshot
from jv_session_mw.errors import UnreadableConversation

EDGES: Final = 2  # messages, the first and the last, which are sent in any case


def head_of(window: int, known: Snapshot) -> str:
    """Return the words of the head that `load.lua` reads, after the tag.

    The messages of *known* need not be sent again, if they are the whole window.
    """
    if EDGES < len(known.messages.values) == min(window, known.total):
        return f"{LAYOUT} {-window} {known.version} {known.birth} {known.total}"
    return f"{LAYOUT} {-window}"


def snapshot_of(reply: Reply, known: Snapshot) -> Snapshot | None:
    """Return what was found, or None if its messages are said to be the *known* ones and are not.

    Raises `UnreadableConversation`.
    """
    answer = cast("list[Reply]", reply)
    status = answer[1]
    if status == b"missing":
        return MISSING
    if status == b"deleted":
        return DELETED
    if status == b"unreadable":
        raise UnreadableConversation("hash", complaint(cast("bytes", answer[2])))
    found = cast("Found", tuple(answer))
    if status == b"found":
        return read_snapshot(found, read_messages(found[10]))
    if found[10] == edges(known.messages) and found[7] == known.commit_id.encode():
        return read_snapshot(found, known.messages)
    return None
