"""The example's model, speaking only when the test lets it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from examples.chat.model import TourModel
from jv_session_mw import Message


class HeldModel:
    """Says what `TourModel` says, one word per permit, so that a test knows what is out."""

    name = "held"

    def __init__(self) -> None:
        self._words = TourModel(pause=0)
        self._permits = asyncio.Semaphore(0)
        self._open = False

    async def stream(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        async for word in self._words.stream(messages):
            if not self._open:
                await self._permits.acquire()
            yield word

    def say(self, words: int) -> None:
        """Let it say so many words more."""
        for _ in range(words):
            self._permits.release()

    def finish(self) -> None:
        """Let it say all the rest, in this turn and those to come."""
        self._open = True
        self._permits.release()
