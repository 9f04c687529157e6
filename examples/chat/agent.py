"""The agent: a model, the conversation it answers, and the store behind both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Tracer

from examples.chat.model import Model
from jv_session_mw import Conversation, ConversationStore, StoreHealth


@dataclass
class Chat:
    """The state of a conversation. Each field is stored by itself, when it has changed."""

    title: str = ""
    turns: int = 0
    trace: str = ""


class ChatAgent:
    """Answers token by token, and reports how its store is."""

    def __init__(self, model: Model, store: ConversationStore[Any], tracer: Tracer) -> None:
        self._model = model
        self._store = store
        self._tracer = tracer

    async def answer(self, conversation: Conversation[Chat]) -> AsyncIterator[str]:
        """Stream the answer; what there is of it is kept, even if the client hangs up."""
        with self._tracer.start_span(f"chat {self._model.name}"):  # not current: there is a yield
            async with conversation.reply(model=self._model.name) as reply:
                async for token in self._model.stream(conversation.messages):
                    reply.write(token)
                    yield token

    async def get_store_health(self) -> StoreHealth:
        """Say whether the store answers, how fast, and whether memory stands in for it."""
        return await self._store.get_health()
