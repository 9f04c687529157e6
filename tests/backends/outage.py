"""A process of an application, and the loss and return of the server under it."""

from jv_session_mw.backends.breaker import CONSECUTIVE_FAILURES
from jv_session_mw.backends.fallback import FallbackBackend
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.changes import Rules
from tests.backends.harness import TTL_MS, eventually, guarded, load
from tests.servers import RedisServer

WINDOW = 3


class Process:
    """One process of an application: its own memory over a server that others share."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.guard: GuardedBackend = guarded(server.url)
        self.backend = FallbackBackend(self.guard, Rules(TTL_MS), window=WINDOW)

    async def lose(self) -> None:
        """End the server, and let this process find out."""
        self.server.kill()
        for _ in range(CONSECUTIVE_FAILURES):
            await load(self.backend, key="nobody")

    async def recover(self) -> None:
        """Start the server, and let this process find out."""
        self.server.start()
        await eventually(lambda: not self.guard.is_degraded)
