"""Goes on with another conversation of the same owner, brought back if it was kept."""

from typing import TypeVar

from opentelemetry.context import Context

from jv_session_mw.changes import Snapshot
from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone
from jv_session_mw.follower import Follower
from jv_session_mw.ids import in_token
from jv_session_mw.terms import Terms

S = TypeVar("S")


async def resume(
    terms: Terms[S], follower: Follower | None, id: str, owner: str | None, parent: Context
) -> tuple[Channel, Snapshot]:
    """Return the channel of *owner*'s conversation *id*, and what is stored there.

    The owner is part of the key, so nobody reaches another's. Raises `ConversationGone` without an
    owner, since nothing shows whose the id is, and for a conversation that was deleted, or has
    expired and was not kept. Then its session stays as it is. Raises `UnsupportedValue` for an id
    that no token can hold.
    """
    if owner is None:
        raise ConversationGone
    channel = terms.channel(id, owner, parent)
    snapshot = await channel.load(terms.window, Deadline(terms.deadline))
    kept = None
    if not _is_there(snapshot):
        if follower is not None and not snapshot.deleted:
            kept = await follower.kept(id, owner)
        if kept is None:
            raise ConversationGone
    in_token(id)  # which is what the client gets
    if follower is not None:  # only now: there is something to go on with
        await follower.resumed(id, owner)
    if kept is not None:
        await channel.commit(kept, Deadline(terms.deadline))
        snapshot = await channel.load(terms.window, Deadline(terms.deadline))
        if not _is_there(snapshot):
            raise ConversationGone
    return channel, snapshot


def _is_there(snapshot: Snapshot) -> bool:
    """Say whether something is stored, or may be: memory does not know what the store has."""
    return bool(snapshot.version or snapshot.fallback)
