"""A command that waits for its reply."""

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, cast

import hiredis
from msgspec import Struct

from jv_session_mw.backends.redis.failures import translate
from jv_session_mw.backends.redis.scripts import COMMIT, DELETE
from jv_session_mw.errors import caused

Reply: TypeAlias = "bytes | int | Sequence[Reply] | None"
Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]

pack: Final = cast("Callable[[Command], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]

DURABLE: Final = frozenset({COMMIT, DELETE})


class Waiting(Struct):
    """A command, as it was given and as it is sent, and the future of its reply.

    *timeout* is in seconds; it is over at *due* by the clock of the event loop's `Lateness`.
    *context* is that of the request, so that spans made on its behalf belong to its trace. The
    reply to a command with a *tag* begins with the tag.
    """

    command: Command
    packed: bytes
    reply: asyncio.Future[Reply]
    timeout: float
    due: float
    context: contextvars.Context
    tag: bytes

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
    return Waiting(command, pack(command), reply, timeout, due, contextvars.copy_context(), tag)
