"""Other session layers, each as its documentation says, seeded through its own application."""

# They are installed for a benchmark only.
# pyright: basic, reportMissingImports=false, reportArgumentType=false

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.stores.redis import RedisStore as LitestarRedisStore
from redis.asyncio import Redis
from redis_fastapi import FastAPIRedis
from starlette.middleware.sessions import SessionMiddleware as CookieSessionMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starsessions import SessionMiddleware, load_session
from starsessions.stores.redis import RedisStore

from tests.benchmarks.contenders import Headers
from tests.benchmarks.drive import request
from tests.benchmarks.work import answer, bare, on_dict

SECRET = "a key of the benchmark"
MOST = 1_000  # connections; a pool that refuses is no measurement


class Peer:
    """A session layer whose session is a dict in the scope."""

    def __init__(
        self,
        name: str,
        app: ASGIApp,
        bare_app: ASGIApp,
        close: Callable[[], Awaitable[None]],
        *,
        largest: int = 10_000,
    ) -> None:
        self.name = name
        self.app = app
        self.bare = bare_app
        self.largest = largest
        self._close = close

    async def seed(self, size: int, count: int) -> list[Headers]:
        """Let the application store it; the client sends back the cookies that it gets."""
        found: list[Headers] = []
        for _ in range(count):
            sent = await request(self.app, f"/seed/{size}", [])
            cookies = [value for name, value in sent[0]["headers"] if name.lower() == b"set-cookie"]
            pairs = b"; ".join(cookie.partition(b";")[0] for cookie in cookies)
            found.append([(b"cookie", pairs)])
        return found

    async def close(self) -> None:
        await self._close()


async def on_scope(scope: Scope, receive: Receive, send: Send) -> None:
    body = b"{}" if scope["path"] == "/none" else on_dict(scope["session"], scope["path"])
    await answer(send, body)


async def starsessions(port: int) -> Peer:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/none":
            await load_session(HTTPConnection(scope))
        await on_scope(scope, receive, send)

    redis = Redis(port=port, max_connections=MOST)
    store = RedisStore(connection=redis, prefix="starsessions:")
    app = SessionMiddleware(handler, store=store, cookie_https_only=False, lifetime=3600)
    return Peer("starsessions", app, bare, redis.aclose)


async def litestar(port: int) -> Peer:
    async def with_session(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = "/" + scope["path"].strip("/")  # a mount has taken it apart
        await on_scope(scope, receive, send)

    async def without(scope: Scope, receive: Receive, send: Send) -> None:
        await bare(scope, receive, send)

    # A mount of plain ASGI, so that no more than the session is measured.
    mount = asgi("/", is_mount=True, copy_scope=False)
    redis = Redis(port=port, max_connections=MOST)
    stores = {"sessions": LitestarRedisStore(redis, namespace="litestar")}
    config = ServerSideSessionConfig(max_age=3600)
    app = Litestar([mount(with_session)], middleware=[config.middleware], stores=stores)
    return Peer("litestar", app, Litestar([mount(without)]), redis.aclose)


async def fastapi_redis_sdk(port: int) -> Peer:
    os.environ["REDIS_URL"] = f"redis://127.0.0.1:{port}"
    os.environ["REDIS_MAX_CONNECTIONS"] = str(MOST)
    app, without = FastAPI(), FastAPI()
    FastAPIRedis(app).lifespan().sessions()
    app.mount("/", on_scope)
    without.mount("/", bare)
    stack = AsyncExitStack()
    await stack.enter_async_context(app.router.lifespan_context(app))
    return Peer("fastapi-redis-sdk", app, without, stack.aclose)


async def cookie(port: int) -> Peer:
    async def close() -> None:
        pass

    app = CookieSessionMiddleware(on_scope, secret_key=SECRET)
    return Peer("cookie", app, bare, close, largest=10)  # browsers take 4 KB of it


MAKERS = (starsessions, litestar, fastapi_redis_sdk, cookie)
