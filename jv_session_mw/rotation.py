"""A whole conversation from one id to another, as raw bytes."""

from jv_session_mw.changes import MISSING, Changes, Put, Snapshot, new_commit_id
from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone, StoreUnavailable


async def move(old: Channel, new: Channel, seconds: float) -> None:
    """Store what is under *old* under *new*, then delete *old*; each step within *seconds*.

    The two ids are in different Cluster slots, so no single step can do both. In this order a
    failure leaves two conversations, never none; and what another request stores under *old*
    meanwhile is moved too, before that is deleted. Raises `ConversationGone`, and
    `StoreUnavailable` where a part would be lost: what only the store has, or all of it with this
    process.
    """
    moved = MISSING
    while True:
        whole = await old.load_whole(Deadline(seconds))
        if not whole.version:
            if moved.version:
                await new.delete(Deadline(seconds))
            raise ConversationGone
        outcome = await new.commit(_difference(moved, whole), Deadline(seconds))
        if outcome.fallback and not whole.fallback:
            raise StoreUnavailable("the store went away meanwhile", reason=outcome.fallback)
        if await old.retire(whole, Deadline(seconds)):
            return
        moved = await new.load_whole(Deadline(seconds))


def _difference(moved: Snapshot, whole: Snapshot) -> Changes:
    """Return what makes *whole* of what has *moved* so far."""
    changes = Changes(new_commit_id(), moved.version, birth=moved.birth)
    before, now = moved.fields, whole.fields
    changes.fields = {
        name: Put(data, before.get(name)) for name, data in now.items() if before.get(name) != data
    }
    changes.removed = {name: data for name, data in before.items() if name not in now}
    held, wanted = list(moved.messages.values), list(whole.messages.values)
    if wanted[: len(held)] == held:
        changes.appended = wanted[len(held) :]
    else:
        changes.cleared, changes.appended = moved.messages.numbers[-1], wanted
    return changes
