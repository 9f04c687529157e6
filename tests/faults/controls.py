"""The promises broken on purpose, so that the checker shows that it would see it."""

import asyncio
from typing import ClassVar, cast

import pytest
from redis import exceptions as redis_errors

from jv_session_mw.backends.redis import batching, scripts
from jv_session_mw.backends.redis import waiting as waitings
from jv_session_mw.backends.redis.scripts import digest
from jv_session_mw.backends.redis.waiting import Argument, Command, Reply, Waiting

REMEMBERS = "if done then"


def without_commit_ids(patch: pytest.MonkeyPatch) -> None:
    """Let the server forget each commit at once: one that comes again is applied again."""
    sources = tuple(source.replace(REMEMBERS, "if false then") for source in scripts.SOURCES)
    assert sources != scripts.SOURCES
    names = ("LOAD", "COMMIT", "TOUCH", "DELETE", "OLDER", "HAS", "LEASE")
    for name, source in zip(names, sources, strict=True):
        patch.setattr(scripts, name, digest(source))
    patch.setattr(scripts, "SOURCES", sources)
    patch.setattr(batching, "SOURCES", sources)


class Believing(asyncio.Future[Reply]):
    """Hands each reply on that could be one to its *script*, whichever command it was for."""

    FITS: ClassVar = {
        scripts.LOAD: (b"found", b"same", b"missing"),
        scripts.COMMIT: (b"committed",),
    }

    def __init__(self, script: Argument, to: asyncio.Future[Reply]) -> None:
        super().__init__()
        self._fits = self.FITS.get(str(script))
        self._to = to

    def done(self) -> bool:
        return self._to.done()

    def set_exception(self, error: type | BaseException, /) -> None:
        self._to.set_exception(error)

    def set_result(self, reply: Reply, /) -> None:
        if self._fits and cast("list[Reply]", reply)[1] not in self._fits:
            raise redis_errors.InvalidResponse("the reply is that of another kind of command")
        self._to.set_result(reply)


def without_tags(patch: pytest.MonkeyPatch) -> None:
    """Believe each reply that could be one to its command, whichever command it was for."""
    make = waitings.waiting

    def waiting(
        command: Command, reply: asyncio.Future[Reply], timeout: float, due: float, tag: bytes
    ) -> Waiting:
        return make(command, Believing(command[1], reply) if tag else reply, timeout, due, b"")

    patch.setattr(batching, "waiting", waiting)
