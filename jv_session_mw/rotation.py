"""Moves a whole conversation from one id to another, as raw bytes."""

from collections.abc import Callable

from jv_session_mw.changes import MISSING
from jv_session_mw.channel import Channel
from jv_session_mw.deadline import Deadline
from jv_session_mw.difference import difference
from jv_session_mw.errors import ConversationGone, StoreUnavailable


async def move(
    old: Channel, new: Channel, seconds: float, copied: Callable[[], None] = lambda: None
) -> None:
    """Store what is under *old* under *new*, then delete *old*; each step within *seconds*.

    The two ids are in different Cluster slots, so no single step can do both. In this order a
    failure leaves two conversations, never none. *copied* is called before the old one may be
    deleted. What another request stores under *old* meanwhile is moved too. Raises
    `ConversationGone`, and `StoreUnavailable` when a part would be lost, because only the store
    has it, or when the copy would end with this process.
    """
    moved = MISSING
    while True:
        whole = await old.load_whole(Deadline(seconds))
        if not whole.version:
            if moved.version:
                await new.delete(Deadline(seconds))
            raise ConversationGone
        outcome = await new.commit(
            difference(moved, whole.fields, whole.messages.values), Deadline(seconds)
        )
        if outcome.fallback and not whole.fallback:
            raise StoreUnavailable("the store went away meanwhile", reason=outcome.fallback)
        copied()
        if await old.retire(whole, Deadline(seconds)):
            return
        moved = await new.load_whole(Deadline(seconds))
