"""A whole conversation from one id to another, as raw bytes."""

from jv_session_mw.changes import Changes, Put, Snapshot, new_commit_id
from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone

WHOLE_LOG = 0


async def move(old: Channel, new: Channel, seconds: float) -> None:
    """Store what is under *old* under *new*, then delete *old*; each step within *seconds*.

    The two ids are in different Cluster slots, so no single step can do both. In this order a
    failure leaves two conversations, never none. Raises `ConversationGone`.
    """
    whole = await old.load(WHOLE_LOG, Deadline(seconds))
    if not whole.version:
        raise ConversationGone
    await new.commit(_copy_of(whole), Deadline(seconds))
    await old.delete(Deadline(seconds))


def _copy_of(snapshot: Snapshot) -> Changes:
    changes = Changes(new_commit_id(), base_version=0)
    changes.fields = {name: Put(data) for name, data in snapshot.fields.items()}
    changes.appended = list(snapshot.messages.values)
    return changes
