"""The chat under test, written with FastAPI.

Each path changes the conversation in another place; `/read` says what is stored. The factories
without arguments are what the server processes run, and are configured by the environment.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from fastapi import APIRouter, BackgroundTasks, FastAPI, Response, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse

from jv_session_integrations.fastapi import CurrentConversation
from jv_session_mw import (
    Conversation,
    ConversationMiddleware,
    ConversationStore,
    create_conversation_store,
    get_conversation_store,
)

KEYS = ("the-key-that-all-of-these-tests-sign-with",)

router = APIRouter()


def change(conversation: Conversation, mark: str) -> None:
    """Leave *mark* in a field, deep inside a field, in a new message and in the first message."""
    conversation.state["mark"] = mark
    conversation.state.setdefault("nested", {"marks": []})["marks"].append(mark)
    marks: list[str] = []
    conversation.messages.append({"role": "user", "content": mark, "meta": {"marks": marks}})
    conversation.messages[0]["meta"]["marks"].append(mark)


def changed(marks: Sequence[str]) -> dict[str, object]:
    """Return what `/read` says after `change` with each of *marks*."""
    state = {"mark": marks[-1], "nested": {"marks": list(marks)}} if marks else {}
    return {"state": state, "messages": changed_messages(marks)}


def changed_messages(marks: Sequence[str]) -> list[dict[str, object]]:
    return [
        {"role": "user", "content": mark, "meta": {"marks": [] if at else list(marks)}}
        for at, mark in enumerate(marks)
    ]


def content(conversation: Conversation) -> dict[str, object]:
    return {"state": conversation.state, "messages": conversation.messages}


@router.get("/health")
async def health() -> str:
    return "ok"


@router.get("/store")
async def about_store() -> dict[str, bool]:
    return {"degraded": get_conversation_store().condition().degraded}


@router.get("/read")
async def read(conversation: CurrentConversation) -> dict[str, object]:
    return content(conversation)


@router.get("/about")
async def about(conversation: CurrentConversation) -> dict[str, object]:
    return {
        "id": conversation.id,
        "is_new": conversation.is_new,
        "version": conversation.version,
        "degraded": conversation.degraded,
    }


@router.post("/endpoint")
async def endpoint(conversation: CurrentConversation, mark: str) -> str:
    change(conversation, mark)
    return mark


@router.post("/stream")
async def stream(conversation: CurrentConversation, mark: str) -> StreamingResponse:
    async def body() -> AsyncGenerator[str]:
        yield "first,"
        change(conversation, mark)
        yield "last."

    return StreamingResponse(body())


@router.post("/stream-end")
async def stream_end(conversation: CurrentConversation, mark: str) -> StreamingResponse:
    async def body() -> AsyncGenerator[str]:
        yield "first,"
        yield "last."
        change(conversation, mark)

    return StreamingResponse(body())


@router.post("/sse", response_class=EventSourceResponse)
async def sse(conversation: CurrentConversation, mark: str) -> AsyncGenerator[str]:
    yield "first"
    change(conversation, mark)
    yield "last"


@router.post("/background")
async def background(conversation: CurrentConversation, mark: str, tasks: BackgroundTasks) -> str:
    async def later() -> None:
        change(conversation, mark)

    tasks.add_task(later)
    return mark


@router.post("/background-thread")
async def background_thread(
    conversation: CurrentConversation, mark: str, tasks: BackgroundTasks
) -> str:
    tasks.add_task(change, conversation, mark)
    return mark


@router.post("/held")
async def held(conversation: CurrentConversation, mark: str) -> StreamingResponse:
    """Change while streaming, then wait for good: only a hang-up ends this."""

    async def body() -> AsyncGenerator[str]:
        yield "first,"
        change(conversation, mark)
        yield "changed,"
        await asyncio.Event().wait()

    return StreamingResponse(body())


@router.post("/held-finally")
async def held_finally(conversation: CurrentConversation, mark: str) -> StreamingResponse:
    """Change when the hang-up is noticed."""

    async def body() -> AsyncGenerator[str]:
        try:
            yield "first,"
            yield "changed,"
            await asyncio.Event().wait()
        finally:
            change(conversation, mark)

    return StreamingResponse(body())


@router.post("/held-sse", response_class=EventSourceResponse)
async def held_sse(conversation: CurrentConversation, mark: str) -> AsyncGenerator[str]:
    yield "first"
    change(conversation, mark)
    yield "changed,"
    await asyncio.Event().wait()


@router.post("/reply")
async def reply(conversation: CurrentConversation, mark: str, hold: bool) -> StreamingResponse:
    conversation.messages.append({"role": "user", "content": mark})

    async def body() -> AsyncGenerator[str]:
        async with conversation.reply(model="test") as answer:
            for piece in ("Good ", "day,"):
                answer.write(piece)
                yield piece
            if hold:
                await asyncio.Event().wait()

    return StreamingResponse(body())


@router.post("/in-turn")
async def in_turn(
    conversation: CurrentConversation, mark: str, wait: float, hold: bool = False
) -> StreamingResponse:
    await conversation.turn(wait=wait)
    return await reply(conversation, mark, hold)


@router.websocket("/socket")
async def socket(websocket: WebSocket, conversation: CurrentConversation) -> None:
    """One turn for each message; `read` is answered with what is there."""
    await websocket.accept()
    async for mark in websocket.iter_text():
        if mark == "read":
            await websocket.send_json(content(conversation))
            continue
        change(conversation, mark)
        await websocket.send_text("changed,")


@router.post("/count")
async def count(conversation: CurrentConversation) -> int:
    conversation.state["count"] = conversation.state.get("count", 0) + 1
    found: int = conversation.state["count"]
    return found


@router.post("/count-stream")
async def count_stream(conversation: CurrentConversation) -> StreamingResponse:
    async def body() -> AsyncGenerator[str]:
        yield " "
        conversation.state["count"] = conversation.state.get("count", 0) + 1
        yield str(conversation.state["count"])

    return StreamingResponse(body())


@router.delete("/conversation")
async def delete(conversation: CurrentConversation) -> str:
    await conversation.delete()
    return "deleted"


@router.post("/rotate")
async def rotate(conversation: CurrentConversation) -> str:
    await conversation.rotate()
    return "rotated"


@router.post("/append-only")
async def append_only(conversation: CurrentConversation, mark: str) -> str:
    conversation.messages.append({"role": "user", "content": mark})
    return mark


@router.post("/status/{code}")
async def status(conversation: CurrentConversation, mark: str, code: int) -> Response:
    change(conversation, mark)
    return Response(status_code=code)


@router.post("/raise-before")
async def raise_before(conversation: CurrentConversation, mark: str) -> None:
    change(conversation, mark)
    raise RuntimeError("before the response")


@router.post("/raise-after")
async def raise_after(conversation: CurrentConversation, mark: str) -> StreamingResponse:
    async def body() -> AsyncGenerator[str]:
        yield "first,"
        change(conversation, mark)
        yield "changed,"
        raise RuntimeError("after the start of the response")

    return StreamingResponse(body())


def chat() -> FastAPI:
    """Return the FastAPI chat without the middleware."""
    app = FastAPI()
    app.include_router(router)
    return app


def fastapi_app_with_checkpoints() -> FastAPI:
    """Return the FastAPI chat, which stores its streams as they go on."""
    app = chat()
    app.add_middleware(ConversationMiddleware, checkpoint_seconds=0.05)
    return app


def fastapi_app_with_replay() -> FastAPI:
    """Return the FastAPI chat, which applies to Redis afterwards what an outage kept from it."""
    app = chat()
    store = create_conversation_store(recovery="replay")
    app.add_middleware(ConversationMiddleware, store=store, exclude=("/health", "/store"))
    return app


def fastapi_app(store: ConversationStore[Any] | None = None) -> FastAPI:
    """Return the FastAPI chat; the store and the keys default to those of the environment."""
    app = chat()
    keys = None if store is None else KEYS
    app.add_middleware(
        ConversationMiddleware, store=store, secret_keys=keys, exclude=("/health", "/store")
    )
    return app
