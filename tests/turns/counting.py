"""Turns that show whether they were alone: what they write rests on what they have read."""

import asyncio

from jv_session_mw import ConversationStore


async def count_up(store: ConversationStore, id: str = "id") -> None:
    """Read, wait, and write what was read plus one: lost unless it has the turn."""
    async with store.open(id) as conversation, conversation.turn():
        count = conversation.state.get("count", 0)
        await asyncio.sleep(0)
        conversation.messages.append({"n": count})
        await conversation.save()
        conversation.state["count"] = count + 1


def counted(times: int) -> dict[str, object]:
    """Return what is stored after so many."""
    return {"count": times, "messages": [{"n": number} for number in range(times)]}


class HeldTurn:
    """A turn that goes on until it is told to end."""

    def __init__(self, store: ConversationStore) -> None:
        self._store = store
        self._end = asyncio.Event()
        self._begun = asyncio.Event()
        self._task = asyncio.create_task(self._hold())

    async def begun(self) -> "HeldTurn":
        await self._begun.wait()
        return self

    async def end(self) -> None:
        self._end.set()
        await self._task

    async def _hold(self) -> None:
        async with self._store.open("id") as conversation, conversation.turn():
            self._begun.set()
            await self._end.wait()
            conversation.state["held"] = True
