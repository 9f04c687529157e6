"""One exchange with an ASGI app, without a server, for what no server or framework does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jv_session_mw import Conversation, ConversationMiddleware, ConversationStore
from tests.promises.apps import KEYS

Handler: TypeAlias = Callable[[Conversation, Receive, Send], Awaitable[None]]


class Exchange:
    """A request that is played to an app, and all that the app sent."""

    def __init__(
        self, method: str = "GET", path: str = "/", headers: Mapping[str, str] | None = None
    ) -> None:
        pairs = (headers or {}).items()
        self.scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
        }
        self.sent: list[Message] = []
        self._asked = False
        self._over = asyncio.Event()

    async def run(self, app: ASGIApp) -> "Exchange":
        await app(self.scope, self.receive, self.send)
        return self

    async def receive(self) -> Message:
        if self._asked:
            await self._over.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._over.set()

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def all(self, name: str) -> list[str]:
        """Return every value of the response header *name*, which is in lower case."""
        headers: list[tuple[bytes, bytes]] = self.sent[0]["headers"]
        return [value.decode() for found, value in headers if found.lower() == name.encode()]

    @property
    def token(self) -> str | None:
        """The token that the response hands out, if any."""
        found = self.all("x-conversation-id")
        return found[0] if found else None


def around(handler: Handler, store: ConversationStore, **options: object) -> ConversationMiddleware:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(scope["state"]["conversation"], receive, send)

    return ConversationMiddleware(app, store=store, secret_keys=KEYS, **options)  # type: ignore[arg-type]


def start(status: int = 200, length: int | None = None) -> Message:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def stored(store: ConversationStore) -> list[dict[str, object] | None]:
    return [await store.get(id) for id in await store.keys()]


def types(exchange: Exchange) -> list[str]:
    """Return what was sent, as types without their prefix."""
    return [message["type"].removeprefix("http.response.") for message in exchange.sent]
