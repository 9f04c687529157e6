"""The chat with handlers that wait where a test tells them to."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from jv_session_integrations.fastapi import CurrentConversation
from jv_session_mw import ConversationStore
from tests.promises.apps import change, fastapi_app


class Pause:
    """A place in a handler at which a test makes it wait, without a clock."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.go = asyncio.Event()

    async def here(self) -> None:
        self.arrived.set()
        await self.go.wait()


def slow_app(store: ConversationStore[Any], pauses: Mapping[str, Pause]) -> FastAPI:
    """Return the FastAPI chat with `/slow`, whose handler waits at its pause once it has loaded.

    `?at=` names the pause. With `field=` it then sets that field and appends a message.
    """
    app = fastapi_app(store)

    @app.post("/slow")
    async def slow(  # pyright: ignore[reportUnusedFunction]
        conversation: CurrentConversation, at: str, field: str | None = None
    ) -> dict[str, object]:
        seen = dict(conversation.state)
        await pauses[at].here()
        if field is not None:
            conversation.state[field] = at
            conversation.messages.append({"role": "user", "content": at})
        return seen

    @app.post("/slow-stream")
    async def slow_stream(  # pyright: ignore[reportUnusedFunction]
        conversation: CurrentConversation, mark: str
    ) -> StreamingResponse:
        async def body() -> AsyncGenerator[str]:
            yield "first,"
            await pauses["stream"].here()
            change(conversation, mark)
            yield "last."

        return StreamingResponse(body())

    return app
