"""A chat that is tracked; its factory is what the server processes run."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.types import Scope

from jv_session_integrations.fastapi import CurrentConversation
from jv_session_mw import ConversationMiddleware, ConversationStore
from jv_session_mw.tracking import SessionTracker, SupabaseSessionTracker, TrackPolicy

KEYS = ["the-key-that-all-of-these-tests-sign-with"]
OWNER = b"x-owner"


def owner_of(scope: Scope) -> str | None:
    """Return the user by a header, as an authenticating proxy gives it."""
    headers = dict(scope["headers"])
    return headers[OWNER].decode() if OWNER in headers else None


def chat() -> FastAPI:
    app = FastAPI()

    @app.post("/say")
    async def say(conversation: CurrentConversation, text: str) -> str:
        conversation.messages.append({"role": "user", "content": text})
        conversation.messages.append({"role": "assistant", "content": "yes"})
        return conversation.id

    @app.post("/stream")
    async def stream(conversation: CurrentConversation, text: str) -> StreamingResponse:
        conversation.messages.append({"role": "user", "content": text})

        async def body() -> AsyncGenerator[str]:
            async with conversation.reply() as reply:
                for piece in ("Good ", "day"):
                    reply.write(piece)
                    yield piece

        return StreamingResponse(body())

    @app.post("/hold")
    async def hold(conversation: CurrentConversation, text: str) -> StreamingResponse:
        """Begin an answer that has no end."""
        conversation.messages.append({"role": "user", "content": text})

        async def body() -> AsyncGenerator[str]:
            async with conversation.reply() as reply:
                reply.write("Good ")
                yield "Good "
                await asyncio.Event().wait()

        return StreamingResponse(body())

    @app.post("/note")
    async def note(conversation: CurrentConversation) -> str:
        conversation.state["noted"] = True
        return conversation.id

    @app.get("/read")
    async def read(conversation: CurrentConversation) -> dict[str, Any]:
        return {"id": conversation.id, "state": conversation.state, "said": conversation.messages}

    @app.post("/regenerate")
    async def regenerate(conversation: CurrentConversation) -> None:
        conversation.messages.pop()
        conversation.messages.append({"role": "assistant", "content": "no"})

    @app.post("/clear")
    async def clear(conversation: CurrentConversation) -> None:
        conversation.messages.clear()

    @app.delete("/conversation")
    async def delete(conversation: CurrentConversation) -> None:
        await conversation.delete()

    @app.post("/login/{owner}")
    async def login(conversation: CurrentConversation, owner: str) -> str:
        await conversation.rotate(owner=owner)
        return conversation.id

    @app.post("/resume/{id}")
    async def resume(conversation: CurrentConversation, id: str) -> list[dict[str, Any]]:
        await conversation.resume(id)
        return conversation.messages

    @app.post("/leave-for/{id}")
    async def leave_for(conversation: CurrentConversation, id: str) -> None:
        """Delete this one, and go on with another."""
        conversation.messages.append({"role": "user", "content": "never to be seen"})
        await conversation.delete()
        await conversation.resume(id)
        conversation.messages.append({"role": "user", "content": "here again"})

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, conversation: CurrentConversation) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            conversation.messages.append({"role": "user", "content": text})
            await websocket.send_text("said")

    return app


def tracked(
    tracker: SessionTracker | None,
    store: ConversationStore | None = None,
    track: TrackPolicy | None = None,
) -> FastAPI:
    """Return the chat with the middleware; the store defaults to that of the environment."""
    app = chat()
    app.add_middleware(
        ConversationMiddleware,
        store=store,
        secret_keys=KEYS,
        owner=owner_of,
        tracker=tracker,
        track=track,
    )
    return app


def tracked_app() -> FastAPI:
    """Return what a server process runs: store and project are those of the environment."""
    return tracked(SupabaseSessionTracker(flush_interval=0.5))


def seldom_written_app() -> FastAPI:
    """Return the same, which writes nothing by itself while a test runs."""
    return tracked(SupabaseSessionTracker(flush_interval=3600))
