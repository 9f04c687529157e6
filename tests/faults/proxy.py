"""A proxy between the application and Redis that breaks what passes through it."""

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self, get_args

from jv_session_mw.cli.server import HOST

Fault = Literal[
    "delay",        # the reply comes late, but before the deadline
    "slow",         # the reply comes after the deadline
    "trickle",      # the reply comes in pieces
    "cut request",  # the connection ends within the command
    "cut reply",    # the command arrives, and the connection ends within the reply
    "no reply",     # the command arrives, and the connection ends before the reply
    "reset",        # the same, with a reset
    "black hole",   # nothing passes any more, and nobody is told
    "half open",    # the command arrives, and nothing comes back any more
    "garbage",      # bytes that are no reply
    "extra reply",  # a reply that nobody has asked for
    "old replies",  # those that came last, once more
]  # fmt: skip
FAULTS: tuple[Fault, ...] = get_args(Fault)
GARBAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
EXTRA = b"+OK\r\n"
PIECE = 7
BLOCK = 65_536

# What decides on the next piece that passes: None lets it through.
Choose = Callable[[], Fault | None]


def unharmed() -> Fault | None:
    """Choose no fault at all."""
    return None


class Proxy:
    """Passes bytes on between its own port and that of a server, and breaks them by *choose*.

    *choose* is asked once for each piece of a request, so that a fault meets a command that is
    under way. `injected` counts what was done. Whatever comes back is *late* by so many seconds.
    """

    def __init__(
        self, port: int, choose: Choose = unharmed, seed: int = 0, *, late: float = 0.0
    ) -> None:
        self.late = late
        self._server_port = port
        self._choose = choose
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.injected: dict[str, int] = {}
        self.connections = 0
        self._is_parted = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0.01)  # transports close in a later tick

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def open(self) -> int:
        """The number of connections that neither side has closed."""
        return len(self._tasks)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Also of a task that was cancelled before its first step.
        task.add_done_callback(lambda _: self._end(writer))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_parted:
            return
        with suppress(OSError):
            from_server, to_server = await asyncio.open_connection(HOST, self._server_port)
            pair = Pair(self, reader, writer, from_server, to_server)
            try:
                await pair.run()
            finally:
                to_server.close()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if self._is_parted:
            _reset(writer)
        writer.close()

    def part(self) -> None:
        """Reset every connection, and each new one, until `join()`."""
        self._is_parted = True
        for task in self._tasks:
            task.cancel()

    def join(self) -> None:
        self._is_parted = False

    def lead_to(self, port: int) -> None:
        """Lead new connections to the server at *port*."""
        self._server_port = port

    def decide(self) -> Fault | None:
        fault = self._choose()
        if fault is not None:
            self.injected[fault] = self.injected.get(fault, 0) + 1
        return fault

    def below(self, most: int) -> int:
        return self._chance.randrange(max(1, most))


class Pair:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(
        self,
        proxy: Proxy,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._from_client = from_client
        self._to_client = to_client
        self._from_server = from_server
        self._to_server = to_server
        self._fault: Fault | None = None
        self._last = b""

    async def run(self) -> None:
        """Pass on until one side ends, or a fault ends both."""
        ways = {asyncio.create_task(self._requests()), asyncio.create_task(self._replies())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for way in ways:
                if not way.cancelled():
                    way.exception()

    async def _requests(self) -> None:
        while piece := await self._from_client.read(BLOCK):
            self._fault = self._fault or self._proxy.decide()
            if self._fault == "black hole":
                await self._swallow()
                return
            if self._fault == "cut request":
                self._to_server.write(piece[: self._proxy.below(len(piece))])
                await self._to_server.drain()
                return
            self._to_server.write(piece)
            await self._to_server.drain()
            if self._fault == "half open":
                await self._swallow()
                return

    async def _swallow(self) -> None:
        while await self._from_client.read(BLOCK):
            pass

    async def _replies(self) -> None:
        if self._proxy.late:
            await self._replies_in_time()
        while piece := await self._from_server.read(BLOCK):
            fault, self._fault = self._fault, None
            if await self._spoil(fault, piece):
                return
            self._last = piece

    async def _replies_in_time(self) -> None:
        """Pass each piece on when it is due, while the next ones are on their way already."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def arrive() -> None:
            while True:
                due, piece = await under_way.get()
                await asyncio.sleep(due - loop.time())
                self._to_client.write(piece)

        arriving = asyncio.create_task(arrive())
        try:
            while piece := await self._from_server.read(BLOCK):
                under_way.put_nowait((loop.time() + self._proxy.late, piece))
        finally:
            arriving.cancel()

    async def _spoil(self, fault: Fault | None, piece: bytes) -> bool:
        """Pass *piece* on with *fault*; say whether the connection is over."""
        if fault == "delay":
            await asyncio.sleep(self._proxy.below(100) / 1000)
        elif fault == "slow":
            await asyncio.sleep(0.35 + self._proxy.below(200) / 1000)
        elif fault == "trickle":
            for at in range(0, min(len(piece), 20 * PIECE), PIECE):
                self._to_client.write(piece[at : at + PIECE])
                await self._to_client.drain()
                await asyncio.sleep(0.001)
            piece = piece[20 * PIECE :]
        elif fault == "cut reply":
            piece = piece[: self._proxy.below(len(piece))]
        elif fault in ("garbage", "extra reply"):
            piece = (GARBAGE if fault == "garbage" else EXTRA) + piece
        elif fault == "old replies":
            piece = (self._last or EXTRA) + piece
        elif fault in ("no reply", "reset"):
            piece = b""
        elif fault == "half open":
            await asyncio.Event().wait()
        self._to_client.write(piece)
        await self._to_client.drain()
        if fault == "reset":
            _reset(self._to_client)
        return fault in ("cut reply", "no reply", "reset")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset: by SO_LINGER of no time (socket(7))."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
