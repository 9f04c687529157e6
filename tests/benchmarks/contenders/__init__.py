"""Ours, its peers, and the least that any of them could cost."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from starlette.types import ASGIApp

Headers: TypeAlias = list[tuple[bytes, bytes]]


class Contender(Protocol):
    """An application with a session, and the same one without, whose cost is subtracted.

    Both answer `/turn`, `/read` and `/none`.
    """

    @property
    def name(self) -> str: ...

    @property
    def app(self) -> ASGIApp: ...

    @property
    def bare(self) -> ASGIApp: ...

    @property
    def largest(self) -> int:
        """The most messages that it is asked to hold."""
        ...

    async def seed(self, size: int, count: int) -> list[Headers]:
        """Store *count* conversations of *size* messages; return what their clients send."""
        ...

    async def close(self) -> None: ...


# From the port of a server on 127.0.0.1 to a contender that is ready.
Maker: TypeAlias = Callable[[int], Awaitable[Contender]]
