"""One connection to the server: a batch of commands out, their replies in."""

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, cast

import hiredis
from msgspec import Struct
from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection

from jv_session_mw.backends.redis.failures import translate
from jv_session_mw.errors import StoreError

Reply: TypeAlias = "bytes | int | list[Reply] | None"
Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]

_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


class Waiting(Struct):
    """A command, as it was given and as it is sent, and whoever waits for its reply.

    *timeout* is in seconds, and over at the moment *due* of the event loop's clock. *context* is
    that of the request, so that a span made on its behalf has a parent in its trace.
    """

    command: Command
    packed: bytes
    reply: asyncio.Future[Reply]
    timeout: float
    due: float
    context: contextvars.Context

    def answer(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(_ours(error))


def waiting(command: Command, reply: asyncio.Future[Reply], timeout: float, due: float) -> Waiting:
    """Pack *command* here, so that what cannot be encoded is this caller's error alone."""
    return Waiting(command, _pack(command), reply, timeout, due, contextvars.copy_context())


class Wire(Protocol):
    """What can take a batch to the server."""

    async def exchange(self, batch: Sequence[Waiting]) -> list[Waiting]:
        """Send *batch* and answer it; return those whose script the server does not know.

        An error reply is answered to its own command. Raises what redis-py and the socket raise;
        who has no answer by then may or may not have been heard.
        """
        ...

    async def close(self) -> None: ...


class PlainWire:
    """A connection of its own, written to and read from without a client in between.

    A pipeline of redis-py costs twice as much for each command. Whoever waits for the exchange
    bounds its time as a whole; the connection does not time each reply again.
    """

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        self._connection.socket_timeout = None

    async def exchange(self, batch: Sequence[Waiting]) -> list[Waiting]:
        connection = self._connection
        await self._pool.ensure_connection(connection)
        await connection.send_packed_command([waiting.packed for waiting in batch])
        unknown: list[Waiting] = []
        read = connection.read_response
        for waiting in batch:
            try:
                reply = cast("Reply", await read())
            except redis_errors.NoScriptError:
                unknown.append(waiting)
            except redis_errors.ResponseError as error:
                waiting.fail(error)
            else:
                waiting.answer(reply)
        return unknown

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


class WatchedWire:
    """The client's own pipeline, for whoever has wrapped it: to trace it, most of all."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def exchange(self, batch: Sequence[Waiting]) -> list[Waiting]:
        pipeline = self._client.pipeline(transaction=False)
        for waiting in batch:
            pipeline.execute_command(*waiting.command)  # pyright: ignore[reportUnknownMemberType]
        replies: list[Reply | Exception] = await pipeline.execute(raise_on_error=False)
        unknown: list[Waiting] = []
        for waiting, reply in zip(batch, replies, strict=True):
            if isinstance(reply, redis_errors.NoScriptError):
                unknown.append(waiting)
            elif isinstance(reply, Exception):
                waiting.fail(reply)
            else:
                waiting.answer(reply)
        return unknown

    async def close(self) -> None:
        pass  # its connection is the pool's


def is_watched() -> bool:
    """Say whether somebody, such as an instrumentation, has put itself around redis-py's pipeline.

    OpenTelemetry's leaves a `__wrapped__`; others put a function of their own module there.
    """
    execute = Pipeline.execute
    return hasattr(execute, "__wrapped__") or execute.__module__ != Pipeline.__module__


def _ours(error: Exception) -> StoreError:
    failure = translate(error)
    failure.__cause__ = error
    return failure
