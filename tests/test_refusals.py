"""What the middleware answers in place of the app, and what a refused handshake leaves behind."""

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jv_session_mw import (
    ConversationMiddleware,
    MemoryConversationStore,
    RedisConversationStore,
    get_conversation,
)
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.servers import RedisServer

PATIENT_SECONDS = 5.0


async def said_by(middleware: ConversationMiddleware, scope: Scope) -> list[Message]:
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect" if scope["type"] == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    await middleware(scope, receive, send)
    return said


@pytest.mark.parametrize("call", ["load", "save"])
async def test_a_store_that_is_away_in_the_handler_is_a_503_too(
    own_valkey: RedisServer, call: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        await conversation.load()
        conversation.state["a"] = 1
        await conversation.save()

    store = RedisConversationStore(url=own_valkey.url, fallback=None, deadline=PATIENT_SECONDS)
    middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS, load="lazy")
    own_valkey.kill()
    token = TokenSigner(KEYS, purpose="conversation").sign("id").encode()
    headers = [(b"x-conversation-id", token)] if call == "load" else []
    said = await said_by(
        middleware, {"type": "http", "method": "POST", "path": "/", "headers": headers}
    )
    assert said[0]["status"] == 503
    assert b"retry-after" in dict(said[0]["headers"])
    await store.close()


def asking(token: str) -> Scope:
    headers = [(b"x-conversation-id", token.encode())]
    return {"type": "http", "method": "POST", "path": "/", "headers": headers}


def token_in(answer: list[Message]) -> str:
    token: bytes = dict(answer[0]["headers"])[b"x-conversation-id"]
    return token.decode()


async def test_a_refusal_after_a_rotation_carries_the_new_token() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        await conversation.rotate()
        async with store.open(conversation.id) as other:
            other.state["a"] = "theirs"
        conversation.state["a"] = "mine"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    store = MemoryConversationStore(on_conflict="reject")
    await store.set("id", {"a": 1})
    signer = TokenSigner(KEYS, purpose="conversation")
    middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
    answer = await said_by(middleware, asking(signer.sign("id")))
    assert answer[0]["status"] == 409
    identity = signer.verify(token_in(answer))
    assert identity is not None
    assert await store.get(identity.id) == {"a": "theirs"}


async def said_before_a_bug(
    app: ASGIApp, store: MemoryConversationStore, scope: Scope
) -> list[Message]:
    """Return what was sent when *app* raised a `LookupError`, which nobody swallows."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
    with pytest.raises(LookupError):
        await middleware(scope, receive, send)
    return said


@pytest.mark.parametrize("begun", [False, True])
async def test_an_app_that_fails_after_a_rotation_does_not_lose_its_client(begun: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await get_conversation(scope).rotate()
        if begun:
            headers = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        raise LookupError("a bug of the app")

    store = MemoryConversationStore()
    await store.set("id", {"a": 1})
    signer = TokenSigner(KEYS, purpose="conversation")
    answer = await said_before_a_bug(app, store, asking(signer.sign("id")))
    assert answer[0]["status"] == 500
    identity = signer.verify(token_in(answer))
    assert identity is not None
    assert await store.get(identity.id) == {"a": 1}


async def test_an_app_that_fails_without_a_rotation_is_answered_for_by_its_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await get_conversation(scope).save()
        raise LookupError("a bug of the app")

    store = MemoryConversationStore()
    await store.set("id", {"a": 1})
    token = TokenSigner(KEYS, purpose="conversation").sign("id")
    assert await said_before_a_bug(app, store, asking(token)) == []


async def test_a_handshake_that_fails_leaves_no_conversation() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        get_conversation(scope).state["a"] = 1
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    store = MemoryConversationStore()
    middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
    said = await said_by(middleware, {"type": "websocket", "path": "/", "headers": []})
    assert [message["type"] for message in said] == ["websocket.close"]
    assert await store.size() == 0
