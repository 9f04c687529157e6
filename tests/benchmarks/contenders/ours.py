"""The middleware of this package, over Redis."""

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from jv_session_mw import (
    ConversationMiddleware,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
    get_conversation,
)
from jv_session_mw.ids import TokenSigner
from tests.benchmarks.contenders import Headers
from tests.benchmarks.work import answer, bare, message, seed, stream

SECRET = "a key of the benchmark"
COOKIE = "conversation"
AT_ONCE = 500


async def handler(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/turn":
        conversation = get_conversation(scope)
        conversation.messages.append(message("user"))
        conversation.messages.append(message("assistant"))
        conversation.state["step"] += 1
        await answer(send, b'{"ok":true}')
    elif path == "/read":
        conversation = get_conversation(scope)
        count, step = len(conversation.messages), conversation.state["step"]
        await answer(send, b'{"messages":%d,"step":%d}' % (count, step))
    elif path == "/stream":
        await stream(send)
    else:
        await answer(send, b"{}")


class Ours:
    """`ConversationMiddleware` around the handler, with everything at its default."""

    name = "ours"
    largest = 10_000

    def __init__(self, store: ConversationStore[dict[str, Any]]) -> None:
        self.store = store
        self.bare: ASGIApp = bare
        self.app: ASGIApp = ConversationMiddleware(
            handler, store=store, secret_keys=[SECRET], secure=False
        )
        self._signer = TokenSigner([SECRET], purpose=COOKIE)

    async def seed(self, size: int, count: int) -> list[Headers]:
        ids = [f"{size}-{number}" for number in range(count)]
        for id in ids:
            whole = seed(size)
            messages: list[dict[str, str]] = whole["messages"]
            # A long log takes several commits: the store bounds the time of each.
            for end in range(min(AT_ONCE, size), size + AT_ONCE, AT_ONCE):
                await self.store.set(id, {**whole, "messages": messages[:end]})
        cookies = [f"{COOKIE}={self._signer.sign(id)}".encode() for id in ids]
        return [[(b"cookie", cookie)] for cookie in cookies]

    async def close(self) -> None:
        await self.store.close()


async def make(port: int) -> Ours:
    store = RedisConversationStore(url=f"redis://127.0.0.1:{port}")
    await store.initialize()
    return Ours(store)


def in_memory() -> Ours:
    return Ours(MemoryConversationStore(max_bytes=2**30))
