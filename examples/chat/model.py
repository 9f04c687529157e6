"""What answers: a small text generator, or a real model where the environment names one."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from jv_session_mw import Message

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

TOUR = """
Your message was stored before I said my first word, and the end of this answer reaches you only \
once it is stored too. The panel shows both as saves. Reload the page: all of it is still here.

Press Stop while I am talking. What I have said by then is kept and marked as interrupted, \
although the connection is gone and nobody in the handler had to think of it.

Now kill the server behind me; the terminal shows its pid. I go on talking with all that you told \
me, the panel says degraded, and your cookie stays the same.

Begin a new conversation: it starts empty, under an id of its own, and this one stays where it is \
until its time to live is over.
"""
PARTS = TOUR.strip().split("\n\n")


class Model(Protocol):
    """Streams the answer to a conversation, piece by piece."""

    name: str

    def stream(self, messages: Sequence[Message]) -> AsyncIterator[str]: ...


class TourModel:
    """Explains this example, one part per turn: deterministic, and without a network.

    *pause* is the time between two words, in seconds.
    """

    name = "tour"

    def __init__(self, pause: float = 0.04) -> None:
        self._pause = pause

    async def stream(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        for word in re.findall(r"\S+\s*", answer(messages)):
            await asyncio.sleep(self._pause)
            yield word


class OpenAIModel:
    """A model behind any endpoint for OpenAI's chat completions, which the environment names."""

    def __init__(self, name: str) -> None:
        from openai import AsyncOpenAI

        self.name = name
        self._client = AsyncOpenAI()

    async def stream(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        history = [{"role": message["role"], "content": message["content"]} for message in messages]
        async with await self._client.chat.completions.create(
            model=self.name,
            messages=cast("list[ChatCompletionMessageParam]", history),
            stream=True,
        ) as chunks:
            async for chunk in chunks:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    yield text


def model_from_env(environ: Mapping[str, str] = os.environ) -> Model:
    """Return the model that `OPENAI_BASE_URL` and `OPENAI_API_KEY` lead to, or the tour.

    `OPENAI_MODEL` names the one to ask there.
    """
    if environ.get("OPENAI_BASE_URL") and environ.get("OPENAI_API_KEY"):
        return OpenAIModel(environ.get("OPENAI_MODEL") or "gpt-4.1-mini")
    return TourModel()


def answer(messages: Sequence[Message]) -> str:
    """Return the next part of the tour, after a line that shows that the history is known."""
    prompts = [message["content"] for message in messages if message["role"] == "user"]
    heard = f"You said: {prompts[-1]}\n\n"
    if len(prompts) > 1:
        heard += f"I know {len(messages) - 1} earlier messages; the first was: {prompts[0]}\n\n"
    return heard + PARTS[(len(prompts) - 1) % len(PARTS)]
