"""Promise: what was streamed of an answer is kept, and marked when it was cut off."""

from collections.abc import AsyncGenerator

import pytest
from starlette.types import Receive, Send

from jv_session_mw import Conversation, ConversationStore, RedisConversationStore
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange, around, body, start, stored
from tests.servers import RedisServer


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    async with RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS) as store:
        yield store


async def test_a_reply_left_open_by_a_handler_that_returned_is_kept_as_interrupted(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        reply = conversation.reply()
        reply.write("Hel")
        await send(start())
        reply.write("lo")

    await Exchange().run(around(handler, store))
    message = {"role": "assistant", "content": "Hello", "interrupted": True}
    assert await stored(store) == [{"messages": [message]}]


async def test_a_reply_whose_model_fails_is_kept_as_interrupted(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        async with conversation.reply() as reply:
            reply.write("Hel")
            await send(body(b"Hel", more=True))
            raise LookupError("the model failed")

    with pytest.raises(LookupError):
        await Exchange().run(around(handler, store))
    message = {"role": "assistant", "content": "Hel", "interrupted": True}
    assert await stored(store) == [{"messages": [message]}]


async def test_a_reply_in_a_generator_that_nobody_closes_is_kept(store: ConversationStore) -> None:
    abandoned: list[AsyncGenerator[str]] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        async def tokens() -> AsyncGenerator[str]:
            async with conversation.reply() as reply:
                for piece in ("Hel", "lo"):
                    reply.write(piece)
                    yield piece

        stream = tokens()
        abandoned.append(stream)
        await send(start())
        await send(body((await anext(stream)).encode(), more=True))

    await Exchange().run(around(handler, store))
    message = {"role": "assistant", "content": "Hel", "interrupted": True}
    assert await stored(store) == [{"messages": [message]}]
    await abandoned[0].aclose()
    assert await stored(store) == [{"messages": [message]}]


async def test_an_empty_reply_leaves_no_message(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        async with conversation.reply():
            pass
        await send(start(200, 0))
        await send(body())

    await Exchange().run(around(handler, store))
    assert await stored(store) == []
