"""The answers to a batch of commands: replies, refusals, and what replicas have acknowledged."""

from typing import TypeAlias

from redis import exceptions as redis_errors

from jv_session_mw.backends.redis.failures import reason_of
from jv_session_mw.backends.redis.waiting import Command, Reply, Waiting
from jv_session_mw.errors import StoreUnavailable

Refused: TypeAlias = list[tuple[Waiting, redis_errors.ResponseError]]


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
