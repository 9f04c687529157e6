"""Requests straight into an ASGI application, from as many workers as are to be under way."""

import asyncio
import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Scope

from tests.benchmarks.contenders import Headers

# What a browser sends besides: a middleware has to look through it.
USUAL: Headers = [
    (b"host", b"localhost"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"content-type", b"application/json"),
]


def scope(path: str, headers: Headers) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": USUAL + headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def dropped(message: Message) -> None:
    """Send to nobody; what fails is quick, and no measurement."""
    if message.get("status", 200) != 200:
        raise RuntimeError(f"the application answered {message['status']}")


async def request(app: ASGIApp, path: str, headers: Headers) -> list[Message]:
    """Make one request and return what was sent; an error of the application is raised."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope(path, headers), receive, send)
    return sent


async def cpu(app: ASGIApp, path: str, clients: Sequence[Headers], each: int) -> float:
    """Return the seconds of CPU for one request; every client makes *each* of them in turn."""

    async def client(headers: Headers) -> None:
        for _ in range(each):
            await app(scope(path, headers), receive, dropped)

    started = time.process_time()
    await asyncio.gather(*(client(headers) for headers in clients))
    return (time.process_time() - started) / (each * len(clients))


async def latencies(app: ASGIApp, path: str, clients: Sequence[Headers], each: int) -> list[float]:
    """Return the seconds that each request took."""
    taken: list[float] = []

    async def client(headers: Headers) -> None:
        for _ in range(each):
            asked = scope(path, headers)
            started = time.perf_counter()
            await app(asked, receive, dropped)
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(client(headers) for headers in clients))
    return taken
