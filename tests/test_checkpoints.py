"""What a stream has by now is stored before its end, and the end leaves nothing of that behind."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from jv_session_mw import (
    ConfigurationError,
    Conversation,
    ConversationMiddleware,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
)
from jv_session_mw.exchange import DRAIN_EVERY
from tests.promises.apps import KEYS
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange, around, body, start, stored
from tests.promises.serving import eventually
from tests.servers import RedisServer

OFTEN = 0.02


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    store = RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS)
    async with store:
        yield store


async def eventually_stored(
    store: ConversationStore, holds: Callable[[list[dict[str, object]]], bool]
) -> None:
    """Return once the messages of the only conversation are such that *holds*."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            found = await stored(store)
            messages = found[0].get("messages") if found and found[0] else None
            if messages and holds(cast("list[dict[str, object]]", messages)):
                return
            await asyncio.sleep(0.005)


async def test_a_stream_that_is_silent_is_stored_as_far_as_it_has_come(
    store: ConversationStore,
) -> None:
    go = asyncio.Event()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.messages.append({"role": "user", "content": "?"})
        await send(start())
        async with conversation.reply() as reply:
            for piece in ("Good ", "day"):
                reply.write(piece)
                await send(body(piece.encode(), more=True))
                await go.wait()
                go.clear()
        await send(body())

    exchange = asyncio.create_task(Exchange().run(around(handler, store, checkpoint_seconds=OFTEN)))
    partial = {"role": "assistant", "content": "Good ", "interrupted": True}
    await eventually_stored(store, lambda messages: messages[1:] == [partial])
    go.set()
    await eventually_stored(store, lambda messages: messages[-1]["content"] == "Good day")
    go.set()
    await exchange
    assert await stored(store) == [
        {
            "messages": [
                {"role": "user", "content": "?"},
                {"role": "assistant", "content": "Good day"},
            ]
        }
    ]


async def test_a_checkpoint_takes_the_state_along_and_none_comes_after_the_end(
    store: ConversationStore,
) -> None:
    kept: list[Conversation] = []

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        kept.append(conversation)
        await send(start())
        conversation.state["step"] = 1
        await eventually(lambda: conversation.version == 1)
        conversation.state["step"] = 2
        await send(body(b"end"))

    await Exchange().run(around(handler, store, checkpoint_seconds=OFTEN))
    assert await stored(store) == [{"step": 2}]
    kept[0].state["step"] = 3
    await asyncio.sleep(3 * OFTEN)
    assert await stored(store) == [{"step": 2}]


@pytest.mark.parametrize("how", ["reload", "rotate"])
async def test_an_answer_whose_conversation_is_loaded_anew_after_a_checkpoint_is_stored_once(
    store: ConversationStore, how: str
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.messages.append({"role": "user", "content": "?"})
        await send(start())
        async with conversation.reply() as reply:
            reply.write("Good ")
            await send(body(b"Good ", more=True))
            await eventually_stored(store, lambda messages: "interrupted" in messages[-1])
            await (conversation.reload() if how == "reload" else conversation.rotate())
            reply.write("day")
        await send(body(b"day"))

    await Exchange().run(around(handler, store, checkpoint_seconds=OFTEN))
    [whole] = [found for found in await stored(store) if found]
    assert whole["messages"] == [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "Good day"},
    ]


async def test_a_deleted_conversation_has_no_more_checkpoints(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["step"] = 1
        await send(start())
        reply = conversation.reply()
        reply.write("half")
        await eventually(lambda: conversation.version == 2)
        await conversation.delete()
        await asyncio.sleep(3 * OFTEN)
        await send(body(b"end"))

    await Exchange().run(around(handler, store, checkpoint_seconds=OFTEN))
    assert await stored(store) == []


async def test_a_value_that_cannot_be_stored_waits_for_the_end_and_is_told_there(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        conversation.state.update(good=1, bad={1, 2})
        await eventually(lambda: conversation.version == 1)
        conversation.state["bad"] = [1, 2]
        await send(body(b"end"))

    await Exchange().run(around(handler, store, checkpoint_seconds=OFTEN))
    assert await stored(store) == [{"good": 1, "bad": [1, 2]}]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None: ...


@pytest.mark.parametrize("seconds", [0, -1, True, "2", float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="checkpoint_seconds"):
        ConversationMiddleware(
            nothing,
            store=MemoryConversationStore(),
            secret_keys=KEYS,
            checkpoint_seconds=seconds,
        )


async def test_at_sigterm_what_a_stream_has_is_stored_at_once_and_again(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        reply = conversation.reply()
        reply.write("half")
        store.inflight.terminating()
        await eventually(lambda: conversation.version == 1)
        reply.write(" and more")
        await eventually(lambda: conversation.version == 2)
        reply.finish()
        await send(body(b"end"))

    await Exchange().run(around(handler, store))
    assert await stored(store) == [
        {"messages": [{"role": "assistant", "content": "half and more"}]}
    ]


async def test_at_sigterm_nothing_is_stored_of_a_response_that_has_not_begun(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["step"] = 1
        store.inflight.terminating()
        await asyncio.sleep(3 * OFTEN)
        assert conversation.version == 0
        raise LookupError("before the response")

    with pytest.raises(LookupError):
        await Exchange().run(around(handler, store))
    assert await stored(store) == []


async def test_nothing_is_stored_on_the_way_of_a_stream_whose_client_got_no_token(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start(404))
        await send(body(b"nothing", more=True))
        conversation.state["step"] = 1
        store.inflight.terminating()
        await asyncio.sleep(3 * OFTEN)
        await send(body(b" here"))

    await Exchange().run(around(handler, store, checkpoint_seconds=OFTEN))
    assert await stored(store) == []


async def test_a_stream_that_begins_after_sigterm_is_stored_on_its_way(
    store: ConversationStore,
) -> None:
    store.inflight.terminating()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        conversation.state["step"] = 1
        await eventually(lambda: conversation.version == 1)
        await send(body(b"end"))

    await Exchange().run(around(handler, store))
    assert await stored(store) == [{"step": 1}]


async def test_a_sigterm_while_the_start_goes_out_leaves_no_checkpoint_behind(
    store: ConversationStore,
) -> None:
    held: list[Conversation] = []

    class Terminated(Exchange):
        async def send(self, message: Message) -> None:
            if message["type"] == "http.response.start":
                store.inflight.terminating()
                await asyncio.sleep(OFTEN)
            await super().send(message)

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        held.append(conversation)
        conversation.state["step"] = 1
        await send(start())
        await send(body(b"end"))

    await Terminated().run(around(handler, store))
    held[0].state["step"] = 2
    await asyncio.sleep(2 * DRAIN_EVERY)
    assert await stored(store) == [{"step": 1}]
