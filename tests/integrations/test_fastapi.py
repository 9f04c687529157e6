"""FastAPI: the conversation as a dependency, for HTTP and WebSocket, typed and documented."""

import dataclasses
import gc
from collections.abc import Generator
from typing import Annotated, Any, assert_type, cast

import msgspec
import pydantic
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient

from jv_session_integrations.fastapi import CurrentConversation, current_conversation
from jv_session_mw import (
    Conversation,
    ConversationMiddleware,
    ConversationNotInstalled,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
)
from tests.promises.apps import KEYS, changed, fastapi_app
from tests.servers import RedisServer

HTTPS = "https://testserver"
WSS = "wss://testserver/socket"  # a relative address would be ws://, without Secure cookies


class StructTrip(msgspec.Struct):
    city: str = ""
    stops: list[str] = msgspec.field(default_factory=list[str])


@dataclasses.dataclass
class DataTrip:
    city: str = ""
    stops: list[str] = dataclasses.field(default_factory=list[str])


class ModelTrip(pydantic.BaseModel):
    city: str = ""
    stops: list[str] = pydantic.Field(default_factory=list[str])


structs, dataclasses_, models, dicts = APIRouter(), APIRouter(), APIRouter(), APIRouter()


@structs.post("/go/{city}")
async def go_struct(conversation: CurrentConversation[StructTrip], city: str) -> list[str]:
    assert_type(conversation, Conversation[StructTrip])
    assert_type(conversation.state, StructTrip)
    conversation.state.city = city
    conversation.state.stops.append(city)
    return conversation.state.stops


@dataclasses_.post("/go/{city}")
async def go_dataclass(conversation: CurrentConversation[DataTrip], city: str) -> list[str]:
    assert_type(conversation.state, DataTrip)
    conversation.state.city = city
    conversation.state.stops.append(city)
    return conversation.state.stops


@models.post("/go/{city}")
async def go_model(conversation: CurrentConversation[ModelTrip], city: str) -> list[str]:
    assert_type(conversation.state, ModelTrip)
    conversation.state.city = city
    conversation.state.stops.append(city)
    return conversation.state.stops


@dicts.post("/go/{city}")
async def go_dict(conversation: CurrentConversation, city: str) -> list[str]:
    assert_type(conversation, Conversation[dict[str, Any]])
    assert_type(conversation.state, dict[str, Any])
    conversation.state["city"] = city
    stops: list[str] = conversation.state.setdefault("stops", [])
    stops.append(city)
    return stops


def served(store: ConversationStore[Any], *routers: APIRouter) -> FastAPI:
    app = FastAPI()
    for router in routers:
        app.include_router(router)
    app.add_middleware(ConversationMiddleware, store=store, secret_keys=KEYS)
    return app


@pytest.fixture
def client(valkey: RedisServer) -> Generator[TestClient]:
    store = RedisConversationStore(url=valkey.url)
    with TestClient(fastapi_app(store), base_url=HTTPS) as client:
        yield client


def stores(redis: RedisServer) -> dict[str, tuple[ConversationStore[Any], APIRouter, type]]:
    return {
        "struct": (
            RedisConversationStore(url=redis.url, state_type=StructTrip), structs, StructTrip,
        ),
        "dataclass": (
            RedisConversationStore(url=redis.url, state_type=DataTrip), dataclasses_, DataTrip,
        ),
        "model": (
            RedisConversationStore(url=redis.url, state_type=ModelTrip), models, ModelTrip,
        ),
        "dict": (RedisConversationStore(url=redis.url), dicts, dict),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["struct", "dataclass", "model", "dict"])
def test_the_state_is_an_object_of_the_stores_type(valkey: RedisServer, kind: str) -> None:
    store, router, state_type = stores(valkey)[kind]
    seen: list[object] = []
    app = served(store, router)

    @app.get("/state")
    async def state(conversation: CurrentConversation) -> None:  # pyright: ignore[reportUnusedFunction]
        seen.append(conversation.state)

    with TestClient(app, base_url=HTTPS) as client:
        assert client.post("/go/Rome").json() == ["Rome"]
        assert client.post("/go/Oslo").json() == ["Rome", "Oslo"]
        client.get("/state")
    assert [type(each) for each in seen] == [state_type]


async def test_an_opened_conversation_has_the_stores_type(valkey: RedisServer) -> None:
    async with RedisConversationStore(url=valkey.url, state_type=StructTrip) as store:
        assert_type(store, RedisConversationStore[StructTrip])
        await store.set("trip", {"city": "Rome"})
        async with store.open("trip") as conversation:
            assert_type(conversation.state, StructTrip)
            assert conversation.state == StructTrip("Rome")
    memory = MemoryConversationStore()
    assert_type(memory, MemoryConversationStore[dict[str, Any]])


def test_the_dependency_is_documented_as_the_header_that_it_is() -> None:
    schema = served(MemoryConversationStore(), dicts).openapi()
    parameters = schema["paths"]["/go/{city}"]["post"]["parameters"]
    (header,) = [parameter for parameter in parameters if parameter["in"] == "header"]
    assert header["name"] == "x-conversation-id"
    assert header["required"] is False
    assert header["description"]
    assert {parameter["in"] for parameter in parameters} == {"path", "header"}


def test_a_websocket_route_has_the_conversation(client: TestClient) -> None:
    client.post("/endpoint?mark=one")
    with client.websocket_connect(WSS) as websocket:
        websocket.send_text("two")
        assert websocket.receive_text() == "changed,"
        websocket.send_text("read")
        assert websocket.receive_json() == changed(["one", "two"])
    assert client.get("/read").json() == changed(["one", "two"])


def test_a_new_visitor_by_websocket_learns_the_token_with_the_handshake(
    client: TestClient,
) -> None:
    with client.websocket_connect(WSS) as websocket:
        websocket.send_text("one")
        websocket.receive_text()
        headers = dict(cast("list[tuple[bytes, bytes]]", websocket.extra_headers))
    token = headers[b"x-conversation-id"].decode()
    assert b"set-cookie" in headers
    client.cookies.clear()
    found = client.get("/read", headers={"X-Conversation-ID": token})
    assert found.json() == changed(["one"])


def test_a_test_may_override_the_dependency() -> None:
    store = MemoryConversationStore()
    app = FastAPI()
    app.include_router(dicts)
    mine = store.conversation(None)

    async def override() -> Conversation:
        return mine

    app.dependency_overrides[current_conversation] = override
    assert TestClient(app).post("/go/Rome").json() == ["Rome"]
    assert mine.state == {"city": "Rome", "stops": ["Rome"]}


def test_a_dependency_of_the_app_may_ask_for_it_and_sees_the_same_object(
    valkey: RedisServer,
) -> None:
    async def city(conversation: CurrentConversation) -> str:
        conversation.state["city"] = "Rome"
        return "Rome"

    app = served(RedisConversationStore(url=valkey.url))

    @app.get("/")
    async def page(  # pyright: ignore[reportUnusedFunction]
        conversation: CurrentConversation, city: Annotated[str, Depends(city)]
    ) -> bool:
        return bool(conversation.state["city"] == city)

    with TestClient(app, base_url=HTTPS) as client:
        assert client.get("/").json() is True


def test_a_plain_function_as_endpoint_may_change_it(valkey: RedisServer) -> None:
    """FastAPI runs it in a thread."""
    app = served(RedisConversationStore(url=valkey.url))

    @app.post("/")
    def page(conversation: CurrentConversation) -> int:  # pyright: ignore[reportUnusedFunction]
        conversation.state["count"] = conversation.state.get("count", 0) + 1
        count: int = conversation.state["count"]
        return count

    with TestClient(app, base_url=HTTPS) as client:
        assert [client.post("/").json() for _ in range(3)] == [1, 2, 3]


def test_a_missing_middleware_is_an_error_that_says_so() -> None:
    app = FastAPI()
    app.include_router(dicts)
    with pytest.raises(ConversationNotInstalled, match="add ConversationMiddleware"):
        TestClient(app).post("/go/Rome")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_test_client_without_a_with_block_works(valkey: RedisServer) -> None:
    """Each of its requests has an event loop of its own, and no lifespan runs.

    Nobody closes the connection of a loop that has ended; it goes with the next collection.
    """
    app = fastapi_app(RedisConversationStore(url=valkey.url))
    client = TestClient(app, base_url=HTTPS)
    for mark in ("one", "two", "three"):
        assert client.post(f"/stream?mark={mark}").text == "first,last."
    assert client.get("/read").json() == changed(["one", "two", "three"])
    del app, client
    gc.collect()


def test_an_error_response_of_fastapi_keeps_the_conversation(client: TestClient) -> None:
    client.post("/endpoint?mark=one")
    assert client.post("/endpoint").status_code == 422
    assert client.get("/nowhere").status_code == 404
    assert client.get("/read").json() == changed(["one"])


def test_a_handler_that_raises_stores_nothing(valkey: RedisServer) -> None:
    app = fastapi_app(RedisConversationStore(url=valkey.url))
    with TestClient(app, base_url=HTTPS, raise_server_exceptions=False) as client:
        client.post("/endpoint?mark=one")
        assert client.post("/raise-before?mark=lost").status_code == 500
        assert client.post("/status/503?mark=lost").status_code == 503
        assert client.get("/read").json() == changed(["one"])


def test_a_stream_that_raises_stores_what_the_client_has_seen(valkey: RedisServer) -> None:
    app = fastapi_app(RedisConversationStore(url=valkey.url))
    with TestClient(app, base_url=HTTPS, raise_server_exceptions=False) as client:
        client.post("/endpoint?mark=one")
        client.post("/raise-after?mark=two")
        assert client.get("/read").json() == changed(["one", "two"])


def test_a_websocket_is_one_conversation_for_both_of_two_tabs(client: TestClient) -> None:
    client.post("/endpoint?mark=one")
    with (
        client.websocket_connect(WSS) as first,
        client.websocket_connect(WSS) as second,
    ):
        for websocket, mark in ((first, "two"), (second, "three")):
            websocket.send_text(mark)
            assert websocket.receive_text() == "changed,"
    stored = client.get("/read").json()
    assert [message["content"] for message in stored["messages"]] == ["one", "two", "three"]
