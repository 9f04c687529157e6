"""A line to a Redis server that a test holds, lets go and cuts, with real sockets."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import hiredis

from jv_session_mw.cli.server import HOST


class Wire:
    """Forwards one free port to *port*; nothing is changed, only when it arrives.

    After `hold()` commands wait here, and `held` is set when the first one does. `release()` lets
    them go. `lose_next_reply()` lets one command through, swallows its reply and closes the
    connection: nobody but the server knows that the command was carried out. `double_next_reply()`
    lets one reply come twice.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._losing = self._doubling = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.held = asyncio.Event()
        self.lost = asyncio.Event()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def hold(self) -> None:
        self.held.clear()
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def lose_next_reply(self) -> None:
        self.lost.clear()
        self._losing = True

    def double_next_reply(self) -> None:
        self._doubling = True

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
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._ends:
            with suppress(OSError):
                await end.wait_closed()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        from_server, to_server = await asyncio.open_connection(HOST, self._port)
        commands = asyncio.create_task(self._forward_commands(reader, to_server))
        replies = asyncio.create_task(self._forward_replies(from_server, writer))
        try:
            await asyncio.wait({commands, replies}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the streams of asyncio log a handler that was cancelled as an error
        finally:
            commands.cancel()
            replies.cancel()
            for end in (writer, to_server):
                end.transport.abort()
                self._ends.append(end)

    async def _forward_commands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if not self._open.is_set():
                self.held.set()
                await self._open.wait()
            writer.write(data)

    async def _forward_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if self._losing:
                self._losing = False
                self.lost.set()
                return
            if self._doubling:
                self._doubling = False
                data = _first_reply(data) + data
            writer.write(data)


def _first_reply(data: bytes) -> bytes:
    reader = hiredis.Reader()
    for end in range(1, len(data)):
        reader.feed(data[end - 1 : end])
        if reader.gets() is not False:
            return data[:end]
    return data
