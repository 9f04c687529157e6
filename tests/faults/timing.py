"""What an outage costs the requests that it meets."""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar

from msgspec import Struct
from opentelemetry.metrics import (
    Histogram,
    Meter,
    NoOpHistogram,
    NoOpMeter,
    NoOpMeterProvider,
)
from starlette.types import Receive, Send

from jv_session_mw import Conversation, RedisConversationStore
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.promises.raw import Exchange, around, body, start
from tests.servers import RedisServer

CLIENTS = 8
SLOW_MS = 50.0
PAUSE_SECONDS = 0.02
OUTAGE_SECONDS = 2.0
KNOWN_AFTER_SECONDS = 0.5  # the breaker has opened by then

current: ContextVar[str] = ContextVar("current", default="")


class Spent(NoOpHistogram, NoOpMeter, NoOpMeterProvider):
    """The one histogram of a store: the seconds that each client has spent in calls of it."""

    def __init__(self) -> None:
        NoOpHistogram.__init__(self, "spent")
        NoOpMeter.__init__(self, "spent")
        self.by: dict[str, float] = {}

    def get_meter(self, *_: object, **__: object) -> Meter:
        return self

    def create_histogram(self, *_: object, **__: object) -> Histogram:
        return self

    def record(self, amount: float, *_: object, **__: object) -> None:
        client = current.get()
        self.by[client] = self.by.get(client, 0.0) + amount


class Cost(Struct):
    """What requests spent in the store while the server was away, in milliseconds.

    `slow` counts the requests that waited for it, of which as many as there are clients were under
    way when it went. `open_p99` is of those that began when it was known. `back` is in seconds,
    from its return to the end of the outage.
    """

    slow: int
    worst: float
    open_p99: float
    back: float


async def turn(conversation: Conversation, receive: Receive, send: Send) -> None:
    conversation.messages.append({"role": "user", "content": "x"})
    await send(start())
    await send(body(b"x"))


async def of_an_outage(
    server: RedisServer, lose: Callable[[], None], give_back: Callable[[], None]
) -> Cost:
    """Let clients take turns while *lose* and then *give_back* happen to the server."""
    taken: list[float] = []
    known: list[float] = []
    spent = Spent()
    is_away, is_over, known_at = False, False, 0.0
    sign = TokenSigner(KEYS, purpose="conversation").sign
    async with RedisConversationStore(url=server.url, meter_provider=spent) as store:
        app = around(turn, store)

        async def client(name: str) -> None:
            headers = {"X-Conversation-ID": sign(name)}
            current.set(name)
            while not is_over:
                was_away, spent.by[name] = is_away, 0.0
                is_known = is_away and time.monotonic() > known_at
                await Exchange(headers=headers).run(app)
                if was_away or is_away:
                    taken.append(spent.by[name] * 1000)
                if is_known:
                    known.append(spent.by[name] * 1000)
                await asyncio.sleep(PAUSE_SECONDS)

        clients = [asyncio.create_task(client(f"id{at}")) for at in range(CLIENTS)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(lose)
        is_away, known_at = True, time.monotonic() + KNOWN_AFTER_SECONDS
        await asyncio.sleep(OUTAGE_SECONDS)
        is_away = False
        await asyncio.to_thread(give_back)
        before = time.monotonic()
        async with asyncio.timeout(20):
            while store.condition().degraded:  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0.005)
        back = time.monotonic() - before
        is_over = True
        await asyncio.gather(*clients)
    known.sort()
    slow = sum(one > SLOW_MS for one in taken)
    return Cost(slow, max(taken), known[len(known) * 99 // 100], back)
