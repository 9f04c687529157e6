"""The ASGI lifespan: the store opens before the app starts, and closes after the last commit."""

import logging
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jv_session_mw.store import ConversationStore

LAST = frozenset(
    {"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"}
)

logger = logging.getLogger("jv_session_mw")


class Opened(Protocol):
    """What lives as long as the app does, beside the store."""

    async def open(self) -> None: ...
    async def close(self) -> object: ...


class Lifespan:
    """Wraps the lifespan of *app*: store and tracker open before its startup, close after its end.

    The app may use them in its own startup and shutdown. For an app that does not speak lifespan
    (Django raises, others return at once) this answers, as the server would wait for an answer.
    """

    def __init__(
        self, app: ASGIApp, store: ConversationStore[Any], tracker: Opened | None = None
    ) -> None:
        self._app = app
        self._store = store
        self._tracker = tracker
        self._heard = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_first() -> Message:
            message = await receive()
            self._heard = True
            if message["type"] == "lifespan.startup":
                await self._store.initialize()
                if self._tracker is not None:
                    await self._tracker.open()
            return message

        async def send_last(message: Message) -> None:
            if message["type"] in LAST:
                await self._store.close()  # first: it waits for commits that the tracker hears of
                if self._tracker is not None:
                    await self._tracker.close()
            await send(message)

        try:
            await self._app(scope, receive_first, send_last)
        except Exception:
            if self._heard:
                raise
            logger.debug("the app does not speak lifespan; answering for it", exc_info=True)
        if not self._heard:
            await self._answer(receive_first, send_last)

    async def _answer(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
