"""What sends a batch of commands: a connection of its own, or redis-py's pipeline."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection

from jv_session_mw.backends.redis.answers import Answers, Refused
from jv_session_mw.backends.redis.waiting import Command, Reply, Waiting, all_packed, pack
from jv_session_mw.lateness import lateness_of


class Wire(Protocol):
    """Something that can send a batch to the server and read the replies."""

    async def exchange(self, batch: Sequence[Waiting]) -> Refused:
        """Send *batch* and answer it; return the commands to send again once the cause is mended.

        Those are scripts that the server does not know, and writes that a replica refused. Any
        other error reply is the answer to its command. Raises what redis-py and the socket raise:
        a command without an answer by then may or may not have been done.
        """
        ...

    async def close(self) -> None:
        """Drop the connection; the next exchange makes a new one."""
        ...


class PlainWire:
    """A connection of its own, written to and read from without a client in between.

    A pipeline of redis-py costs twice as much for each command. The connection has no time-out for
    each reply, since the batcher bounds the exchange as a whole. A commit is answered once
    *replicas* replicas have it.
    """

    def __init__(self, client: Redis, replicas: int = 0) -> None:
        self._replicas = replicas
        self._pool = client.connection_pool
        self._connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        self._connection.socket_timeout = None

    async def exchange(self, batch: Sequence[Waiting]) -> Refused:
        connection = self._connection
        await self._pool.ensure_connection(connection)
        sent = all_packed(batch)
        wait = _wait(self._replicas, batch)
        if wait is not None:
            sent.append(pack(wait))
        await connection.send_packed_command(sent)
        answers = Answers(wait)
        read = cast("Callable[[], Awaitable[Reply]]", connection.read_response)
        for waiting in batch:
            try:
                reply = await read()
            except redis_errors.ResponseError as error:
                answers.refuse(waiting, error)
            else:
                answers.give(waiting, reply)
        if wait is not None:
            answers.acknowledge(await read())
        return answers.refused

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


class WatchedWire:
    """The client's own pipeline, used when somebody has wrapped it, mostly to trace it."""

    def __init__(self, client: Redis, replicas: int = 0) -> None:
        self._client = client
        self._replicas = replicas

    async def exchange(self, batch: Sequence[Waiting]) -> Refused:
        pipeline = self._client.pipeline(transaction=False)
        wait = _wait(self._replicas, batch)
        commands = [waiting.command for waiting in batch]
        for command in commands if wait is None else [*commands, wait]:
            pipeline.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
        replies: list[Reply | Exception] = await pipeline.execute(raise_on_error=False)
        answers = Answers(wait)
        for waiting, reply in zip(batch, replies, strict=False):
            if isinstance(reply, redis_errors.ResponseError):
                answers.refuse(waiting, reply)
            elif isinstance(reply, Exception):
                raise reply
            else:
                answers.give(waiting, reply)
        if wait is not None:
            answers.acknowledge(replies[-1])
        return answers.refused

    async def close(self) -> None:
        pass  # its connection is the pool's


def is_watched() -> bool:
    """Say whether somebody, such as an instrumentation, has put itself around redis-py's pipeline.

    OpenTelemetry's leaves a `__wrapped__`; others put a function of another module there.
    """
    execute = Pipeline.execute
    return hasattr(execute, "__wrapped__") or execute.__module__ != Pipeline.__module__


def _wait(replicas: int, batch: Sequence[Waiting]) -> Command | None:
    """Return the WAIT to send after *batch*, None if none; it ends when the first commit is due."""
    if not replicas:
        return None
    durable = [waiting.due for waiting in batch if waiting.is_durable]
    if not durable:
        return None
    seconds = min(durable) - lateness_of(asyncio.get_running_loop()).now()
    return ("WAIT", replicas, max(1, round(seconds * 1000)))
