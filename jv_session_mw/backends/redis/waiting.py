"""Commands that wait for their replies, and the answers that a batch of them gets."""

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, cast

import hiredis
from msgspec import Struct
from redis import exceptions as redis_errors

from jv_session_mw.backends.redis.failures import reason_of, translate
from jv_session_mw.backends.redis.scripts import COMMIT, DELETE
from jv_session_mw.errors import StoreUnavailable, caused

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


Refused: TypeAlias = list[tuple[Waiting, redis_errors.ResponseError]]


def waiting(
    command: Command, reply: asyncio.Future[Reply], timeout: float, due: float, tag: bytes
) -> Waiting:
    """Return *command* packed, so that what cannot be encoded fails here, for this caller alone."""
    return Waiting(command, pack(command), reply, timeout, due, contextvars.copy_context(), tag)


class Answers:
    """The replies to one batch: given at once, or, of commits, once enough replicas have them."""

    def __init__(self, wait: Command | None) -> None:
        self._wait = wait
        self._held: list[tuple[Waiting, Reply]] = []
        self.refused: Refused = []

    def give(self, waiting: Waiting, reply: Reply) -> None:
        tag = waiting.tag
        if tag and not (isinstance(reply, list) and reply and reply[0] == tag):
            raise redis_errors.InvalidResponse("the reply is that of another command")
        if self._wait is not None and waiting.is_durable:
            self._held.append((waiting, reply))
        elif not waiting.reply.done():
            waiting.reply.set_result(reply)

    def refuse(self, waiting: Waiting, error: redis_errors.ResponseError) -> None:
        if isinstance(error, redis_errors.NoScriptError) or reason_of(error) == "readonly":
            self.refused.append((waiting, error))
        else:
            waiting.fail(error)

    def acknowledge(self, replicas: object) -> None:
        """Give the replies that were held if enough *replicas* have the commits, else fail them."""
        assert self._wait is not None
        most = self._wait[1]
        if isinstance(replicas, int) and isinstance(most, int) and replicas >= most:
            for waiting, reply in self._held:
                if not waiting.reply.done():
                    waiting.reply.set_result(reply)
            return
        for waiting, _ in self._held:
            if not waiting.reply.done():
                waiting.reply.set_exception(too_few(replicas, most))


def too_few(replicas: object, most: object) -> StoreUnavailable:
    return StoreUnavailable(f"only {replicas} of {most} replicas have it", reason="replicas")
