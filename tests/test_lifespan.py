"""The start never waits for Redis, and the end waits for every commit."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from jv_session_mw import Conversation, ConversationMiddleware, RedisConversationStore
from jv_session_mw.backends.redis.scripts import SOURCES
from jv_session_mw.cli.processes import poll_until
from tests.promises.apps import KEYS
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.raw import Exchange
from tests.promises.serving import eventually
from tests.promises.wire import Wire
from tests.servers import RedisServer


class Life:
    """A server's side of the lifespan protocol."""

    def __init__(self, middleware: ConversationMiddleware) -> None:
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self.heard: list[Message] = []
        self._task = asyncio.create_task(self._run(middleware))

    async def _run(self, middleware: ConversationMiddleware) -> None:
        await middleware({"type": "lifespan", "state": {}}, self._said.get, self._hear)

    async def _hear(self, message: Message) -> None:
        self.heard.append(message)

    @property
    def last(self) -> str | None:
        return self.heard[-1]["type"] if self.heard else None

    def say(self, kind: str) -> None:
        self._said.put_nowait({"type": f"lifespan.{kind}"})

    async def start(self) -> None:
        self.say("startup")
        await eventually(lambda: self.last or self._task.done())

    async def shutdown(self) -> None:
        self.say("shutdown")
        await self.wait()

    async def wait(self) -> None:
        await asyncio.wait_for(self._task, PATIENT_SECONDS)


def middleware_over(app: Starlette, redis: RedisServer) -> ConversationMiddleware:
    return ConversationMiddleware(
        app, store=RedisConversationStore(url=redis.url), secret_keys=KEYS
    )


async def test_the_start_connects_so_that_the_first_request_does_not_pay(
    valkey: RedisServer,
) -> None:
    life = Life(middleware_over(Starlette(), valkey))
    await life.start()
    assert life.last == "lifespan.startup.complete"
    assert f"number_of_cached_scripts:{len(SOURCES)}" in valkey.ask("INFO memory")
    await life.shutdown()
    assert life.last == "lifespan.shutdown.complete"


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_the_start_does_not_fail_because_redis_is_away(
    own_valkey: RedisServer, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    (own_valkey.kill if how == "killed" else own_valkey.freeze)()
    life = Life(middleware_over(Starlette(), own_valkey))
    await life.start()
    assert life.last == "lifespan.startup.complete"
    await life.shutdown()
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "conversation store away" in warnings[0].message


async def test_the_app_may_use_the_store_in_its_own_start_and_end(valkey: RedisServer) -> None:
    store = RedisConversationStore(url=valkey.url)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        await store.set("settings", {"started": True})
        yield
        await store.set("settings", {"ended": True})

    life = Life(ConversationMiddleware(Starlette(lifespan=lifespan), store=store, secret_keys=KEYS))
    await life.start()
    assert await store.get("settings") == {"started": True}
    await life.shutdown()
    async with RedisConversationStore(url=valkey.url) as other:
        assert await other.get("settings") == {"ended": True}


async def test_an_app_that_fails_to_start_is_heard_and_leaves_no_connection_behind(
    own_valkey: RedisServer,
) -> None:
    models: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        if not models:
            raise LookupError("no such model")
        yield

    middleware = middleware_over(Starlette(lifespan=lifespan), own_valkey)
    life = Life(middleware)
    await life.start()
    with pytest.raises(LookupError):
        await life.wait()
    assert life.last == "lifespan.startup.failed"
    try:
        only_this_one = "connected_clients:1\r\n"
        assert poll_until(lambda: only_this_one in own_valkey.ask("INFO clients"), seconds=2)
    finally:
        await middleware.store.close()


async def test_an_app_that_does_not_speak_lifespan_is_answered_for(valkey: RedisServer) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(f"unknown scope {scope['type']}")

    store = RedisConversationStore(url=valkey.url)
    life = Life(ConversationMiddleware(app, store=store, secret_keys=KEYS))
    await life.start()
    assert life.last == "lifespan.startup.complete"
    await life.shutdown()
    assert life.last == "lifespan.shutdown.complete"


async def test_an_app_that_ignores_lifespan_is_answered_for_too(valkey: RedisServer) -> None:
    """It returns at once, and a server such as uvicorn would wait for its answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    store = RedisConversationStore(url=valkey.url)
    life = Life(ConversationMiddleware(app, store=store, secret_keys=KEYS))
    await life.start()
    assert life.last == "lifespan.startup.complete"
    await life.shutdown()


async def test_the_end_waits_for_a_commit_whose_request_is_gone(valkey: RedisServer) -> None:
    streaming = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Starlette()(scope, receive, send)
            return
        conversation: Conversation = scope["state"]["conversation"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        conversation.state["mark"] = "kept"
        streaming.set()
        await asyncio.Event().wait()

    async with Wire(valkey.port) as wire:
        store = RedisConversationStore(url=wire.url, deadline=PATIENT_SECONDS)
        middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
        life = Life(middleware)
        await life.start()
        request = asyncio.create_task(Exchange().run(middleware))
        await streaming.wait()
        wire.hold()
        request.cancel()
        await asyncio.wait_for(wire.held.wait(), PATIENT_SECONDS)
        life.say("shutdown")
        for _ in range(20):
            await asyncio.sleep(0)
        assert life.last == "lifespan.startup.complete"
        wire.release()
        await life.wait()
        assert life.last == "lifespan.shutdown.complete"
        await asyncio.wait({request})
    async with RedisConversationStore(url=valkey.url) as other:
        (id,) = await other.keys()
        assert await other.get(id) == {"mark": "kept"}


async def test_the_end_waits_for_requests_that_were_cancelled_just_before_it(
    valkey: RedisServer,
) -> None:
    """uvicorn cancels what exceeds its graceful timeout, and shuts down in the same moment."""
    streaming = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Starlette()(scope, receive, send)
            return
        conversation: Conversation = scope["state"]["conversation"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        streaming.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # as a framework that unwinds its task groups
            conversation.state["mark"] = "kept"

    store = RedisConversationStore(url=valkey.url, deadline=PATIENT_SECONDS)
    middleware = ConversationMiddleware(app, store=store, secret_keys=KEYS)
    life = Life(middleware)
    await life.start()
    request = asyncio.create_task(Exchange().run(middleware))
    await streaming.wait()
    request.cancel()
    await life.shutdown()
    async with RedisConversationStore(url=valkey.url) as other:
        found = [await other.get(id) for id in await other.keys()]
    await asyncio.wait({request})
    await store.close()
    assert found == [{"mark": "kept"}]
