"""Streams that end in the middle: the client hangs up, or the server is told to end."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from jv_session_mw import RedisConversationStore
from jv_session_mw.cli.server import HOST
from tests.promises.apps import KEYS, fastapi_app
from tests.promises.clients import Visitor
from tests.promises.database import Database
from tests.promises.serving import WebServer, eventually, serving
from tests.servers import RedisServer

AT_ONCE = 50
SERVERS_AT_ONCE = 3
ENDING_SERVERS = (
    ("uvicorn-h11", "--timeout-graceful-shutdown=1"),
    ("uvicorn-httptools", "--timeout-graceful-shutdown=1"),
    ("granian", "--workers-kill-timeout=1"),
    *((("hypercorn", "--graceful-timeout=1"),) if sys.version_info < (3, 12) else ()),
)
HELD = ("held", "held-sse")


async def stored_after_disconnects(server: RedisServer, count: int) -> int:
    """Hang up *count* times in the middle of a stream, and return how many of them are stored."""
    server.flush()
    async with RedisConversationStore(url=server.url, fallback=None, deadline=20.0) as store:
        async with serving(fastapi_app(store)) as url:
            port = int(url.rpartition(":")[2])
            numbers = iter(range(count))

            async def client() -> None:
                for number in numbers:
                    await _hang_up(port, f"/held?mark=m{number}")

            await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        await eventually(lambda: _marks(server) == {f"m{number}" for number in range(count)})
    return len(_marks(server))


async def _hang_up(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    request = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"changed,")
    writer.close()


def stored_after_sigterm(server: RedisServer, count: int) -> int:
    """Let *count* servers end by SIGTERM during a stream; return how many streams are stored."""
    server.flush()
    with ThreadPoolExecutor(SERVERS_AT_ONCE) as pool:
        list(pool.map(partial(_terminate, server), range(count)))
    return len(_marks(server) & {f"m{number}" for number in range(count)})


def _terminate(redis: RedisServer, number: int) -> None:
    kind, option = ENDING_SERVERS[number % len(ENDING_SERVERS)]
    environment = {"REDIS_URL": redis.url, "JV_SESSION_SECRET_KEYS": ",".join(KEYS)}
    server = WebServer(kind, "apps:fastapi_app", environment, option)
    try:
        server.start()
        visitor = Visitor(server.port)
        place = HELD[number // len(ENDING_SERVERS) % len(HELD)]
        with visitor.streaming(f"/{place}?mark=m{number}", b"changed,"):
            server.terminate()
            server.wait()
        visitor.close()
    finally:
        server.close()


def _marks(server: RedisServer) -> set[str]:
    """Return the field `mark` of every conversation."""
    database = Database(server.url)
    try:
        names = [name for name in database.names() if name.endswith("}")]
        found = [database.do("HGET", name, ".mark") for name in names]
    finally:
        database.close()
    return {value.decode().partition('"')[2][:-1] for value in found if isinstance(value, bytes)}
