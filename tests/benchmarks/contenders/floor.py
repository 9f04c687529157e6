"""The least that such a layer can cost: two scripts over raw hiredis, and no features.

One socket, on which the commands of one event-loop tick leave together. No id is signed, nothing
is checked, no failure is handled, and of what is loaded only the one field is decoded.
"""

import asyncio
import hashlib
from collections import deque
from typing import TypeAlias, cast

import hiredis
import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.benchmarks.contenders import Headers
from tests.benchmarks.work import answer, bare, message, seed

WINDOW = 50
LOAD = "return {redis.call('HGETALL', KEYS[1]), redis.call('LRANGE', KEYS[2], -50, -1)}"
COMMIT = """
redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[1], 'step', ARGV[1])
redis.call('PEXPIRE', KEYS[1], 3600000)
redis.call('PEXPIRE', KEYS[2], 3600000)
"""

Reply: TypeAlias = "bytes | int | list[Reply] | None"

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(int).decode


def digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


class Line(asyncio.Protocol):
    """A connection without a client: commands in, replies out in their order."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._waiting.popleft().set_result(cast("Reply", reply))

    def ask(self, *command: str | bytes | int) -> asyncio.Future[Reply]:
        reply: asyncio.Future[Reply] = self._loop.create_future()
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(command))  # type: ignore[arg-type]
        self._waiting.append(reply)
        return reply

    def _flush(self) -> None:
        self.transport.write(b"".join(self._out))
        self._out.clear()


class Floor:
    name = "floor"
    largest = 10_000

    def __init__(self, line: Line) -> None:
        self._line = line
        self.bare: ASGIApp = bare
        self.app: ASGIApp = self._app

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = next((value.decode() for name, value in scope["headers"] if name == b"cookie"), "")
        if scope["path"] == "/none":
            await answer(send, b"{}")
            return
        keys = (f"floor:{{{key}}}", f"floor:{{{key}}}:m")
        loaded = await self._line.ask("EVALSHA", digest(LOAD), 2, *keys)
        fields, log = cast("list[list[bytes]]", loaded)
        step = decode(fields[1])
        if scope["path"] == "/read":
            await answer(send, b'{"messages":%d,"step":%d}' % (len(log), step))
            return
        new = encode(message("user")), encode(message("assistant"))
        await self._line.ask("EVALSHA", digest(COMMIT), 2, *keys, encode(step + 1), *new)
        await answer(send, b'{"ok":true}')

    async def seed(self, size: int, count: int) -> list[Headers]:
        values = [encode(value) for value in seed(size)["messages"]]
        for number in range(count):
            key = f"floor:{{{size}-{number}}}"
            await self._line.ask("DEL", key, f"{key}:m")
            await self._line.ask("HSET", key, "step", b"0", "topic", b'"flights"')
            await self._line.ask("RPUSH", f"{key}:m", *values)
        return [[(b"cookie", f"{size}-{number}".encode())] for number in range(count)]

    async def close(self) -> None:
        self._line.transport.close()


async def make(port: int) -> Floor:
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(Line, "127.0.0.1", port)
    for script in (LOAD, COMMIT):
        await line.ask("SCRIPT", "LOAD", script)
    return Floor(line)
