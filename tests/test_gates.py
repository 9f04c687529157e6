"""When an exchange commits, discards and hands out its token, message by message."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
from starlette.types import Message, Receive, Send

from jv_session_mw import (
    Conversation,
    ConversationStore,
    RedisConversationStore,
    UnsupportedValue,
)
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange, around, body, start, stored
from tests.servers import RedisServer


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    store = RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS)
    async with store:
        yield store


async def test_an_exception_before_the_response_stores_nothing(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "lost"
        raise LookupError("before the response")

    with pytest.raises(LookupError, match="before the response"):
        await Exchange().run(around(handler, store))
    assert await stored(store) == []


async def test_an_exception_after_the_start_stores_what_the_client_may_have_seen(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        conversation.state["mark"] = "kept"
        raise LookupError("after the start")

    with pytest.raises(LookupError, match="after the start"):
        await Exchange().run(around(handler, store))
    assert await stored(store) == [{"mark": "kept"}]


async def test_what_was_saved_explicitly_survives_an_exception(store: ConversationStore) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await conversation.save()
        conversation.state["mark"] = "lost"
        raise LookupError

    with pytest.raises(LookupError):
        await Exchange().run(around(handler, store))
    assert await stored(store) == [{"mark": "kept"}]


async def test_what_is_changed_after_a_save_that_was_given_up_is_lost_with_an_exception(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "saved"
        conversation.messages.append({"content": "saved"})
        saving = asyncio.create_task(conversation.save())
        await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait({saving})
        conversation.state["mark"] = "lost"
        conversation.messages.append({"content": "lost"})
        raise LookupError

    with pytest.raises(LookupError):
        await Exchange().run(around(handler, store))
    assert await stored(store) == [{"mark": "saved", "messages": [{"content": "saved"}]}]


@pytest.mark.parametrize("status", [500, 503, 599])
async def test_a_server_error_discards_what_was_not_saved(
    store: ConversationStore, status: int
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "lost"
        await send(start(status, 0))
        await send(body())

    exchange = await Exchange().run(around(handler, store))
    assert exchange.status == status
    assert exchange.token is None
    assert await stored(store) == []


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 422])
async def test_any_other_status_keeps_what_was_changed(
    store: ConversationStore, status: int
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await send(start(status, 0))
        await send(body())

    exchange = await Exchange().run(around(handler, store))
    assert exchange.token is not None
    assert await stored(store) == [{"mark": "kept"}]


async def test_commit_on_error_keeps_what_an_exception_or_a_500_would_lose(
    store: ConversationStore,
) -> None:
    async def raising(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "raised"
        raise LookupError

    async def answering(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "answered"
        await send(start(500, 0))
        await send(body())

    with pytest.raises(LookupError):
        await Exchange().run(around(raising, store, commit_on_error=True))
    await Exchange().run(around(answering, store, commit_on_error=True))
    marks = [found["mark"] for found in await stored(store) if found]
    assert sorted(map(str, marks)) == ["answered", "raised"]


async def test_a_value_that_cannot_be_stored_is_refused_before_the_response(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["fine"] = 1
        conversation.state["bad"] = {"price": float("nan")}
        await send(start())
        await send(body(b"never"))

    exchange = Exchange()
    with pytest.raises(UnsupportedValue, match=r"state\.bad\.price"):
        await exchange.run(around(handler, store))
    assert exchange.sent == []
    assert await stored(store) == []


async def test_a_value_that_is_refused_at_the_end_of_a_stream_breaks_it_off_and_loses_no_other(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        conversation.state["fine"] = 1
        conversation.state["bad"] = {1, 2}
        with suppress(UnsupportedValue):
            await send(body(b"last"))
        await send(body(b"one more", more=True))

    exchange = Exchange()
    with pytest.raises(UnsupportedValue, match=r"state\.bad"):
        await exchange.run(around(handler, store))
    assert exchange.body == b"first"
    assert await stored(store) == [{"fine": 1}]


async def test_an_app_that_catches_the_refusal_cannot_answer_as_if_it_were_stored(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["bad"] = object()
        try:
            await send(start())
        except UnsupportedValue:
            await send(start(200))
        await send(body(b"stored!"))

    exchange = Exchange()
    with pytest.raises(UnsupportedValue):
        await exchange.run(around(handler, store))
    assert exchange.sent == []


async def test_a_cancelled_request_stores_what_it_had_changed(store: ConversationStore) -> None:
    streaming = asyncio.Event()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        conversation.state["mark"] = "kept"
        streaming.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Exchange().run(around(handler, store)))
    await streaming.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(store) == [{"mark": "kept"}]


async def test_a_request_that_is_cancelled_again_and_again_stores_it_all_the_same(
    store: ConversationStore,
) -> None:
    streaming = asyncio.Event()

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        conversation.state["mark"] = "kept"
        streaming.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Exchange().run(around(handler, store)))
    await streaming.wait()
    for _ in range(10_000):
        task.cancel()
        await asyncio.sleep(0)
        if task.done():
            break
    await store.close()
    assert await stored(store) == [{"mark": "kept"}]


async def test_a_normal_return_without_a_final_body_stores_what_was_changed(
    store: ConversationStore,
) -> None:
    """That is what a disconnect looks like to most servers."""

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        conversation.state["mark"] = "kept"

    await Exchange().run(around(handler, store))
    assert await stored(store) == [{"mark": "kept"}]


async def test_a_finished_answer_after_a_mere_look_hands_out_no_token(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        assert not conversation.state
        assert not conversation.messages
        await send(start(200, 2))
        await send(body(b"ok"))

    exchange = await Exchange().run(around(handler, store))
    assert exchange.token is None
    assert exchange.all("set-cookie") == []


async def test_a_stream_hands_out_the_token_before_it_is_known_whether_it_is_needed(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        conversation.state["mark"] = "late"
        await send(body(b"ok"))

    exchange = await Exchange().run(around(handler, store))
    again = Exchange(headers={"X-Conversation-ID": exchange.token or ""})
    seen: list[object] = []

    async def reader(conversation: Conversation, receive: Receive, send: Send) -> None:
        seen.append(conversation.state["mark"])
        await send(start(200, 0))
        await send(body())

    await again.run(around(reader, store))
    assert seen == ["late"]


async def test_a_second_body_after_the_last_one_is_no_second_commit(
    store: ConversationStore,
) -> None:
    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "once"
        await send(start(200, 0))
        await send(body())
        await send(body())
        assert conversation.version == 1

    await Exchange().run(around(handler, store))
    assert await stored(store) == [{"mark": "once"}]


async def test_informational_messages_before_the_start_pass_through(
    store: ConversationStore,
) -> None:
    early: Message = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}

    async def handler(conversation: Conversation, receive: Receive, send: Send) -> None:
        conversation.state["mark"] = "kept"
        await send(early)
        await send(start(200, 0))
        await send(body())

    exchange = await Exchange().run(around(handler, store))
    assert exchange.sent[0] == early
    assert await stored(store) == [{"mark": "kept"}]
