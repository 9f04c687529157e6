"""A command that waits for its reply."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, cast

import hiredis

from jv_session_mw.backends.redis.failures import translate
from jv_session_mw.backends.redis.scripts import COMMIT, DELETE
from jv_session_mw.errors import caused

Reply: TypeAlias = "bytes | int | Sequence[Reply] | None"
Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]

pack: Final = cast("Callable[[Command], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]

DURABLE: Final = frozenset({COMMIT, DELETE})


class Waiting:
    """A command, as it was given and as it is sent, and the future of its reply.

    *timeout* is in seconds; it is over at *due* by the clock of the event loop's `Lateness`.
    *context* is that of the request, so that spans made on its behalf belong to its trace. The
    reply to a command with a *tag* begins with the tag.
    """

    __slots__ = ("command", "context", "due", "packed", "reply", "tag", "timeout")

    def __init__(
        self,
        command: Command,
        packed: bytes,
        reply: asyncio.Future[Reply],
        *,
        timeout: float,
        due: float,
        context: contextvars.Context,
        tag: bytes,
    ) -> None:
        self.command: Final = command
        self.packed: Final = packed
        self.reply: Final = reply
        self.timeout: Final = timeout
        self.due: Final = due
        self.context: Final = context
        self.tag: Final = tag

    @property
    def is_durable(self) -> bool:
        """Whether replicas must have it too, if the store waits for them."""
        return self.command[0] == "EVALSHA" and self.command[1] in DURABLE

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(caused(translate(error), by=error))


def waiting(
    command: Command, reply: asyncio.Future[Reply], timeout: float, due: float, tag: bytes
) -> Waiting:
    """Return *command* packed, so that what cannot be encoded fails here, for this caller alone."""
    context, sent = contextvars.copy_context(), pack(command)
    return Waiting(command, sent, reply, timeout=timeout, due=due, context=context, tag=tag)


def take(queue: deque[Waiting], most: int) -> list[Waiting]:
    """Take up to *most* commands from *queue* whose requests still wait; drop those before them."""
    taken: list[Waiting] = []
    while queue and len(taken) < most:
        first = queue.popleft()
        if not first.reply.done():
            taken.append(first)
    return taken


def all_packed(batch: Sequence[Waiting]) -> list[bytes]:
    """Return the commands of *batch* as they are sent."""
    return [waiting.packed for waiting in batch]
