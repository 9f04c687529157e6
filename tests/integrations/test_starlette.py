"""Starlette: the conversation in `request.state`, typed."""

from collections.abc import AsyncGenerator, Generator
from typing import Any, assert_type

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from jv_session_integrations.starlette import ConversationState, get_conversation
from jv_session_mw import (
    Conversation,
    ConversationMiddleware,
    ConversationNotInstalled,
    RedisConversationStore,
)
from tests.promises.apps import KEYS
from tests.servers import RedisServer


class Trip(msgspec.Struct):
    stops: list[str] = msgspec.field(default_factory=list[str])


async def by_state(request: Request[ConversationState[Trip]]) -> Response:
    conversation = request.state["conversation"]
    assert_type(conversation, Conversation[Trip])
    assert_type(conversation.state, Trip)
    conversation.state.stops.append(request.query_params["stop"])
    return JSONResponse(conversation.state.stops)


async def by_attribute(request: Request) -> Response:
    conversation: Conversation[Trip] = request.state.conversation
    conversation.state.stops.append(request.query_params["stop"])
    return JSONResponse(conversation.state.stops)


async def by_function(request: Request) -> Response:
    conversation: Conversation[Trip] = get_conversation(request)
    assert_type(conversation.state, Trip)
    conversation.state.stops.append(request.query_params["stop"])
    return JSONResponse(conversation.state.stops)


async def by_stream(request: Request) -> Response:
    conversation: Conversation[Trip] = get_conversation(request)

    async def body() -> AsyncGenerator[bytes]:
        yield b" "
        conversation.state.stops.append(request.query_params["stop"])
        yield msgspec.json.encode(conversation.state.stops)

    return StreamingResponse(body())


async def by_task(request: Request) -> Response:
    conversation: Conversation[Trip] = request.state.conversation
    stop = request.query_params["stop"]

    async def later() -> None:
        conversation.state.stops.append(stop)

    stops = [*conversation.state.stops, stop]
    assert conversation.id
    return JSONResponse(stops, background=BackgroundTask(later))


class ByEndpoint(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return await by_function(request)


class Talk(WebSocketEndpoint):
    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        conversation: Conversation[Trip] = websocket.state.conversation
        conversation.state.stops.append(data)
        await websocket.send_json(conversation.state.stops)


PATHS = ("state", "attribute", "function", "stream", "task", "endpoint")


@pytest.fixture
def client(valkey: RedisServer) -> Generator[TestClient]:
    app = Starlette(
        routes=[
            Route("/state", by_state),
            Route("/attribute", by_attribute),
            Route("/function", by_function),
            Route("/stream", by_stream),
            Route("/task", by_task),
            Route("/endpoint", ByEndpoint),
            WebSocketRoute("/talk", Talk),
        ],
        middleware=[
            Middleware(
                ConversationMiddleware,
                store=RedisConversationStore(url=valkey.url, state_type=Trip),
                secret_keys=KEYS,
            )
        ],
    )
    with TestClient(app, base_url="https://testserver") as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_every_way_to_the_conversation_is_typed_and_saved(client: TestClient, path: str) -> None:
    assert client.get(f"/{path}?stop=Rome").json() == ["Rome"]
    assert client.get(f"/{path}?stop=Oslo").json() == ["Rome", "Oslo"]


def test_a_websocket_endpoint_has_it_too(client: TestClient) -> None:
    client.get("/state?stop=Rome")
    with client.websocket_connect("wss://testserver/talk") as websocket:
        for stop, stops in (("Oslo", ["Rome", "Oslo"]), ("Bern", ["Rome", "Oslo", "Bern"])):
            websocket.send_text(stop)
            assert websocket.receive_json() == stops
    assert client.get("/state?stop=Graz").json() == ["Rome", "Oslo", "Bern", "Graz"]


def test_without_the_middleware_the_function_says_what_is_missing() -> None:
    app = Starlette(routes=[Route("/", by_function)])
    with pytest.raises(ConversationNotInstalled, match="ConversationMiddleware"):
        TestClient(app).get("/?stop=Rome")
