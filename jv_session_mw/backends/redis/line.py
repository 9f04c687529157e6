"""The line to the server or servers of a store, and the one to a single primary."""

from collections.abc import Awaitable
from typing import Protocol

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel

from jv_session_mw.backends.redis.batching import Batcher, Delivery
from jv_session_mw.backends.redis.waiting import Command, Reply


class Line(Protocol):
    """Takes commands to the primary that has their keys. It belongs to one event loop."""

    def send(self, command: Command, timeout: float, tag: bytes = b"") -> Awaitable[Reply]:
        """Return the reply to *command*; see `Batcher.send`. It is an EVALSHA or has one key."""
        ...

    async def primaries(self, timeout: float) -> list[Batcher]:
        """Return the batcher of each primary, for commands that concern all of them."""
        ...

    async def close(self) -> None: ...


class SingleLine:
    """Leads to one primary, at an address or wherever the sentinels say that it is."""

    def __init__(self, client: Redis, delivery: Delivery, sentinel: Sentinel | None = None) -> None:
        self._client = client
        self._sentinel = sentinel
        self.batcher = Batcher(client, delivery)
        self.send = self.batcher.send

    @property
    def is_idle(self) -> bool:
        """Whether no command waits for its reply."""
        return self.batcher.is_idle

    async def primaries(self, timeout: float) -> list[Batcher]:
        return [self.batcher]

    async def close(self) -> None:
        await self.batcher.close()
        await self._client.aclose()
        # One by one, because a Sentinel of redis-py 6 has no aclose().
        for client in [] if self._sentinel is None else self._sentinel.sentinels:
            await client.aclose()
