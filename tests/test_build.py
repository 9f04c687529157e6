"""What makes a store or a middleware: it connects to nothing yet."""

import asyncio
import socket

import pytest
from starlette.types import Receive, Scope, Send

from jv_session_mw import (
    ConversationMiddleware,
    MemoryConversationStore,
    RedisConversationStore,
    create_conversation_store,
)
from jv_session_mw.cli.server import HOST


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        create_conversation_store(no_such_option=1)


async def test_nothing_connects_before_it_is_used() -> None:
    with socket.create_server((HOST, 0)) as listener:
        listener.setblocking(False)
        port: int = listener.getsockname()[1]
        stores = [
            RedisConversationStore(host=HOST, port=port),
            RedisConversationStore(url=f"redis://{HOST}:{port}/15"),
        ]
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):  # nobody waits to be accepted
            listener.accept()
        for store in stores:
            await store.close()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do nothing: the middleware is never called."""


def test_a_middleware_takes_its_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JV_SESSION_SECRET_KEYS", "k" * 32)
    ConversationMiddleware(app, store=MemoryConversationStore())


@pytest.mark.parametrize("value", [0.001, 1, 3600, 10 * 365 * 86_400])
def test_a_ttl_may_be_short_or_long(value: float) -> None:
    assert RedisConversationStore(ttl_seconds=value).rules.ttl_ms == max(1, value * 1000)
