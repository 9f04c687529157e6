"""A WebSocket that is denied with a response of HTTP has its gates and its token like any other."""

from collections.abc import Callable

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import Conversation, MemoryConversationStore
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.promises.raw import Exchange, Handler, around

SIGNER = TokenSigner(KEYS, purpose="conversation")
DENIED: Message = {"type": "websocket.http.response.start", "status": 403, "headers": []}


async def deny(send: Send) -> None:
    await send(DENIED)
    await send({"type": "websocket.http.response.body", "body": b"no"})


async def denied(
    handler: Handler,
    store: MemoryConversationStore,
    begun: Callable[[Exchange], None] = lambda exchange: None,
) -> Exchange:
    """Return a handshake that came with the token of a stored conversation."""
    await store.set("id", {"a": 0})
    exchange = Exchange(headers={"X-Conversation-ID": SIGNER.sign("id")})
    exchange.scope["type"] = "websocket"
    exchange.scope["extensions"] = {"websocket.http.response": {}}
    begun(exchange)
    return await exchange.run(around(handler, store))


async def test_a_denial_is_let_through_once_what_was_changed_is_stored() -> None:
    store = MemoryConversationStore()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["a"] = 1
        await send(DENIED)
        assert await store.get("id") == {"a": 1}

    exchange = await denied(handler, store)
    assert exchange.status == 403
    assert exchange.token is None


async def test_a_denial_carries_the_token_of_what_has_moved() -> None:
    store = MemoryConversationStore()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.rotate()
        await deny(send)

    exchange = await denied(handler, store)
    assert exchange.token
    identity = SIGNER.verify(exchange.token)
    assert identity is not None
    assert await store.get(identity.id) == {"a": 0}


async def test_a_denial_clears_the_cookie_of_what_was_deleted() -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.delete()
        await deny(send)

    (cookie,) = (await denied(handler, MemoryConversationStore())).all("set-cookie")
    assert "Max-Age=0" in cookie


async def test_an_app_that_fails_after_a_rotation_does_not_lose_its_client() -> None:
    exchanges: list[Exchange] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.rotate()
        raise LookupError

    with pytest.raises(LookupError):
        await denied(handler, MemoryConversationStore(), exchanges.append)
    assert (exchanges[0].status, bool(exchanges[0].token)) == (500, True)
