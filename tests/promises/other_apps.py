"""The chat under test once more: written with Starlette, and in plain ASGI."""

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from jv_session_mw import Conversation, ConversationMiddleware, get_conversation
from tests.promises.apps import change, content


def starlette_chat() -> Starlette:
    """Return the Starlette chat without the middleware."""
    return Starlette(
        routes=[
            Route("/read", _starlette_read),
            Route("/endpoint", _starlette_endpoint, methods=["POST"]),
            Route("/background", _starlette_background, methods=["POST"]),
            WebSocketRoute("/socket", _starlette_socket),
        ]
    )


async def _starlette_read(request: Request) -> Response:
    return JSONResponse(content(request.state.conversation))


async def _starlette_endpoint(request: Request) -> Response:
    change(request.state.conversation, request.query_params["mark"])
    return JSONResponse("changed")


async def _starlette_background(request: Request) -> Response:
    task = BackgroundTask(change, get_conversation(request), request.query_params["mark"])
    return JSONResponse("changed", background=task)


async def _starlette_socket(websocket: WebSocket) -> None:
    conversation: Conversation = websocket.state.conversation
    await websocket.accept()
    async for mark in websocket.iter_text():
        change(conversation, mark)
        await websocket.send_text("changed,")


def raw_app() -> ConversationMiddleware:
    """Return a chat in plain ASGI that notices a hang-up by itself, and goes on sending."""
    return ConversationMiddleware(raw_chat)


async def raw_chat(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("this app does not speak lifespan")
    conversation: Conversation = scope["state"]["conversation"]
    if scope["path"] == "/read":
        await JSONResponse(content(conversation))(scope, receive, send)
        return
    mark = scope["query_string"].decode().partition("=")[2]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"changed,", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    change(conversation, mark)
    await send({"type": "http.response.body", "body": b"nobody reads this", "more_body": True})
