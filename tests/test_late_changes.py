"""What changes once the response is out without a token: nobody could ever ask for it."""

from collections.abc import AsyncGenerator

import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from jv_session_mw import ConversationStore, RedisConversationStore, get_conversation
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange
from tests.promises.stacks import ours
from tests.servers import RedisServer


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncGenerator[ConversationStore]:
    async with RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS) as store:
        yield store


async def test_a_late_change_of_a_conversation_without_a_token_is_in_the_log(
    store: ConversationStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A new visitor was only read for, and has the whole answer, when a task changes the state.

    No header can go out any more, so nobody will ever present this conversation's token.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        await JSONResponse(len(conversation.messages))(scope, receive, send)
        conversation.messages.append({"role": "user", "content": "hello"})

    exchange = await Exchange("POST").run(ours(app, store))
    assert exchange.token is None
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "conversation.id" in warning.getMessage()
    assert await store.keys() == []


async def test_a_late_reply_of_a_conversation_without_a_token_is_in_the_log_too(
    store: ConversationStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left open, and would be put into the messages only when the exchange ends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        await JSONResponse(len(conversation.messages))(scope, receive, send)
        conversation.reply().write("hello")

    exchange = await Exchange("POST").run(ours(app, store))
    assert exchange.token is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert await store.keys() == []


@pytest.mark.parametrize("asks", [False, True])
async def test_a_late_save_is_in_the_log_unless_somebody_knows_its_id(
    store: ConversationStore, caplog: pytest.LogCaptureFixture, asks: bool
) -> None:
    known: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        await JSONResponse(len(conversation.messages))(scope, receive, send)
        conversation.messages.append({"role": "user", "content": "hello"})
        await conversation.save()
        if asks:  # to send it by other means
            known.append(conversation.id)

    exchange = await Exchange("POST").run(ours(app, store))
    assert exchange.token is None
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["Read conversation.id" in warning for warning in warnings] == ([] if asks else [True])
    keys = await store.keys()
    assert keys == known if asks else len(keys) == 1


async def test_a_late_save_that_is_deleted_again_is_nobodys_loss(
    store: ConversationStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        conversation = get_conversation(scope)
        await JSONResponse(len(conversation.messages))(scope, receive, send)
        conversation.messages.append({"role": "user", "content": "hello"})
        await conversation.save()
        await conversation.delete()

    await Exchange("POST").run(ours(app, store))
    assert [record.levelname for record in caplog.records] == []
