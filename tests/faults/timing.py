"""What an outage costs the requests that it meets."""

import asyncio
import time
from collections.abc import Callable

from msgspec import Struct
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


class Cost(Struct):
    """What the middleware added, in milliseconds, while the server was away.

    `slow` counts the requests that waited for it, of which as many as there are clients were under
    way when it went. `back` is in seconds: from its return to the end of the outage.
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
    is_away = is_over = False
    sign = TokenSigner(KEYS, purpose="conversation").sign
    async with RedisConversationStore(url=server.url) as store:
        app = around(turn, store)

        async def client(name: str) -> None:
            headers = {"X-Conversation-ID": sign(name)}
            while not is_over:
                was_away, before = is_away, time.perf_counter()
                await Exchange(headers=headers).run(app)
                if was_away or is_away:
                    taken.append((time.perf_counter() - before) * 1000)
                await asyncio.sleep(PAUSE_SECONDS)

        clients = [asyncio.create_task(client(f"id{at}")) for at in range(CLIENTS)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(lose)
        is_away = True
        await asyncio.sleep(OUTAGE_SECONDS)
        is_away = False
        await asyncio.to_thread(give_back)
        before = time.monotonic()
        async with asyncio.timeout(20):
            while store.degraded:  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0.005)
        back = time.monotonic() - before
        is_over = True
        await asyncio.gather(*clients)
    quick = sorted(one for one in taken if one <= SLOW_MS)
    slow = sum(one > SLOW_MS for one in taken)
    return Cost(slow, max(taken), quick[len(quick) * 99 // 100], back)
