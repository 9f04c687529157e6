"""A process that has no time to read its replies does not take its store for away."""

import asyncio
import time

import pytest
from starlette.types import Receive, Send

from jv_session_mw import Conversation, RedisConversationStore
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange, around, body, start
from tests.servers import RedisServer

DEADLINE = 0.3
STILL_SECONDS = 2 * DEADLINE
MANY = 1_000
WORK_SECONDS = 0.0002
BUSY_SECONDS = 0.02


def asking_for(id: str) -> Exchange:
    token = TokenSigner(KEYS, purpose="conversation").sign(id)
    return Exchange(headers={"X-Conversation-ID": token})


async def turn(conversation: Conversation, receive: Receive, send: Send) -> None:
    conversation.messages.append({"n": conversation.messages.total})
    until = time.perf_counter() + WORK_SECONDS
    while time.perf_counter() < until:
        pass
    await send(start())
    await send(body(b"more", more=True))
    conversation.messages.append({"n": conversation.messages.total})
    await send(body())


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
async def test_a_process_that_stands_still_during_a_turn_stores_it_all_the_same(
    valkey: RedisServer, steps: int
) -> None:
    async with RedisConversationStore(url=valkey.url, deadline=DEADLINE) as store:
        await store.set("id", {"messages": [{"n": 0}]})
        app = around(turn, store)
        request = asyncio.create_task(asking_for("id").run(app))
        for _ in range(steps):
            await asyncio.sleep(0)
        time.sleep(STILL_SECONDS)  # noqa: ASYNC251 - as the work of another request may take
        assert (await request).status == 200
        assert not store.condition().degraded
        async with RedisConversationStore(url=valkey.url, deadline=10) as other:
            assert await other.get("id") == {"messages": [{"n": 0}, {"n": 1}, {"n": 2}]}


@pytest.mark.parametrize("steps", range(1, 12))
async def test_a_process_that_stands_still_while_it_connects_is_connected_in_the_end(
    valkey: RedisServer, steps: int
) -> None:
    store = RedisConversationStore(url=valkey.url, fallback=None, deadline=DEADLINE)
    call = asyncio.create_task(store.get("id"))
    for _ in range(steps):
        await asyncio.sleep(0)
    time.sleep(DEADLINE)  # noqa: ASYNC251 - more than connecting may take
    assert await call is None
    await store.close()


async def test_many_requests_at_once_are_all_stored(valkey: RedisServer) -> None:
    ids = [f"id-{number}" for number in range(MANY)]
    async with RedisConversationStore(url=valkey.url, deadline=DEADLINE) as store:
        app = around(turn, store)
        await asyncio.gather(*(asking_for(id).run(app) for id in ids))
        async with RedisConversationStore(url=valkey.url, deadline=10) as other:
            found = await asyncio.gather(*(other.get(id) for id in ids))
    assert found == [{"messages": [{"n": 0}, {"n": 1}]}] * MANY


async def test_a_silent_server_is_found_out_by_a_process_that_is_always_busy(
    own_valkey: RedisServer,
) -> None:
    async def be_busy() -> None:
        while True:
            time.sleep(BUSY_SECONDS)  # noqa: ASYNC251 - as the work of other requests may take
            await asyncio.sleep(0)

    async with RedisConversationStore(url=own_valkey.url, deadline=DEADLINE) as store:
        await store.set("id", {"a": 1})
        work = asyncio.create_task(be_busy())
        own_valkey.freeze()
        async with asyncio.timeout(PATIENT_SECONDS):
            async with store.open("id") as conversation:
                assert conversation.degraded
        work.cancel()
        own_valkey.thaw()
