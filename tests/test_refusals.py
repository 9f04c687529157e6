"""What the middleware answers in place of the app."""

import pytest
from starlette.types import Receive, Send

from jv_session_mw import Conversation, MemoryConversationStore, RedisConversationStore
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange, around, body, start
from tests.servers import RedisServer

SIGNER = TokenSigner(KEYS, purpose="conversation")


def asking() -> Exchange:
    """Return a request with the token of the conversation `id`."""
    return Exchange("POST", headers={"X-Conversation-ID": SIGNER.sign("id")})


def id_in(exchange: Exchange) -> str:
    """Return the id whose token the answer carries."""
    identity = SIGNER.verify(exchange.token or "")
    assert identity is not None
    return identity.id


@pytest.mark.parametrize("call", ["load", "save"])
async def test_a_store_that_is_away_in_the_handler_is_a_503_too(
    own_valkey: RedisServer, call: str
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.load()
        conversation.state["a"] = 1
        await conversation.save()

    exchange = asking() if call == "load" else Exchange("POST")
    store = RedisConversationStore(url=own_valkey.url, fallback=None, deadline=PATIENT_SECONDS)
    own_valkey.kill()
    await exchange.run(around(handler, store, load="lazy"))
    assert exchange.status == 503
    assert exchange.all("retry-after")
    await store.close()


async def test_a_refusal_after_a_rotation_carries_the_new_token() -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.rotate()
        async with store.open(conversation.id) as other:
            other.state["a"] = "theirs"
        conversation.state["a"] = "mine"
        await send(start())
        await send(body())

    store = MemoryConversationStore(on_conflict="reject")
    await store.set("id", {"a": 1})
    exchange = await asking().run(around(handler, store))
    assert exchange.status == 409
    assert await store.get(id_in(exchange)) == {"a": "theirs"}


@pytest.mark.parametrize("begun", [False, True])
async def test_an_app_that_fails_after_a_rotation_does_not_lose_its_client(begun: bool) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.rotate()
        if begun:
            await send(start(length=2))
        raise LookupError("a bug of the app")

    store, exchange = MemoryConversationStore(), asking()
    await store.set("id", {"a": 1})
    with pytest.raises(LookupError):
        await exchange.run(around(handler, store))
    assert exchange.status == 500
    assert await store.get(id_in(exchange)) == {"a": 1}


async def test_an_app_that_fails_without_a_rotation_is_answered_for_by_its_server() -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await conversation.save()
        raise LookupError("a bug of the app")

    store, exchange = MemoryConversationStore(), asking()
    await store.set("id", {"a": 1})
    with pytest.raises(LookupError):
        await exchange.run(around(handler, store))
    assert exchange.sent == []
