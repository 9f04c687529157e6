"""A backend behind a circuit breaker, and the background probe that finds out when it is back."""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from jv_session_mw.backends.base import Backend, Call
from jv_session_mw.backends.breaker import Breaker
from jv_session_mw.backoff import Backoff
from jv_session_mw.changes import MISSING, Changes, Outcome, Snapshot
from jv_session_mw.condition import Condition
from jv_session_mw.errors import StoreUnavailable, UnreadableConversation
from jv_session_mw.lease import Claim, Lease
from jv_session_mw.stretch import Stretch
from jv_session_mw.suppression import suppress_instrumentation

logger = logging.getLogger("jv_session_mw")

T = TypeVar("T")
Failed: TypeAlias = Callable[[StoreUnavailable], None]

PROBE_BASE_SECONDS = 0.1
PROBE_CAP_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 0.25
NOBODYS = "~"  # a key that no id and owner lead to


class GuardedBackend:
    """Passes calls on until the breaker opens, then refuses at once with `StoreUnavailable`.

    The first failure of an outage logs one WARNING and starts the probe. The probe's first success
    logs one INFO and ends the outage. *consequence* says in the warning what happens meanwhile.

    A store that answers but refuses to write, because it is full or a replica, or its user lacks a
    right, is still asked. That logs one WARNING too, and is over with the first commit that the
    store takes.
    """

    def __init__(self, backend: Backend, *, consequence: str) -> None:
        self._backend = backend
        self._consequence = consequence
        self._breaker = Breaker()
        self._probe: asyncio.Task[None] | None = None
        self.is_away = False
        self._refuses_writes = False
        self.last_error: str | None = None

    @property
    def is_degraded(self) -> bool:
        """Whether it does not answer, or refuses to write."""
        return self.is_away or self._refuses_writes

    def open(self, timeout: float) -> Call[None]:
        return self._ask(self._backend.open(timeout))

    async def close(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None and probe.get_loop() is asyncio.get_running_loop():
            probe.cancel()
            await asyncio.wait({probe})
        await self._backend.close()

    def ping(self, timeout: float) -> Call[None]:
        """Ask even while the breaker is open: whoever pings wants to know."""
        return self._ask(self._backend.ping(timeout))

    def condition(self) -> Condition:
        return Condition(last_error=self.last_error)

    def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Call[Snapshot]:
        self._refuse_early(timeout)
        return self._ask(self._backend.load(key, window, timeout, known))

    def older(self, key: str, before: int, count: int, timeout: float) -> Call[Stretch]:
        self._refuse_early(timeout)
        return self._ask(self._backend.older(key, before, count, timeout))

    def commit(self, key: str, changes: Changes, timeout: float) -> Call[Outcome]:
        self._refuse_early(timeout)
        return self._write(self._backend.commit(key, changes, timeout))

    def touch(self, key: str, timeout: float) -> Call[int]:
        self._refuse_early(timeout)
        return self._ask(self._backend.touch(key, timeout), self._failed_to_write)

    def delete(self, key: str, timeout: float) -> Call[bool]:
        self._refuse_early(timeout)
        return self._write(self._backend.delete(key, timeout))

    def retire(self, key: str, seen: Snapshot, timeout: float) -> Call[bool]:
        self._refuse_early(timeout)
        return self._write(self._backend.retire(key, seen, timeout))

    def lease(self, key: str, claim: Claim, timeout: float) -> Call[Lease]:
        self._refuse_early(timeout)
        return self._ask(self._backend.lease(key, claim, timeout), self._failed_to_write)

    def has(self, key: str, timeout: float) -> Call[bool]:
        self._refuse_early(timeout)
        return self._ask(self._backend.has(key, timeout))

    def keys(self, timeout: float) -> Call[list[str]]:
        self._refuse_early(timeout)
        return self._ask(self._backend.keys(timeout))

    def _refuse_early(self, timeout: float) -> None:
        if timeout <= 0:  # the request has spent its time, which says nothing about the store
            raise StoreUnavailable("the time for the store is spent", reason="deadline")
        if not self._breaker.is_open:
            return
        self._start_probe()
        raise StoreUnavailable(
            f"the conversation store is away: {self.last_error}",
            reason="breaker_open",
            retry_after=PROBE_CAP_SECONDS,
        )

    async def _ask(self, call: Call[T], failed: Failed | None = None) -> T:
        try:
            answer = await call
        except StoreUnavailable as error:
            (failed or self._failed)(error)
            raise
        except UnreadableConversation:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        if self.is_away:  # the probe may have ended with its event loop, or by `close()`
            self._start_probe()
        return answer

    async def _write(self, call: Call[T]) -> T:
        answer = await self._ask(call, self._failed_to_write)
        if self._refuses_writes:
            self._wrote()
        return answer

    def _failed_to_write(self, error: StoreUnavailable) -> None:
        if error.reason == "permission":  # the user may still read: the next load will show
            self._refused_to_write(error)
        else:
            self._failed(error)

    def _refused_to_write(self, error: StoreUnavailable) -> None:
        self.last_error = str(error)
        self._breaker.succeeded()
        if not self._refuses_writes:
            self._refuses_writes = True
            self._warn("conversation store refuses to write (%s): %s; %s meanwhile", error)

    def _failed(self, error: StoreUnavailable) -> None:
        if error.only_writes:
            self._refused_to_write(error)
            return
        self.last_error = str(error)
        self._breaker.failed()
        if not self.is_away:
            self.is_away = True
            self._warn("conversation store away (%s): %s; %s until it answers again", error)
        self._start_probe()

    def _warn(self, text: str, error: StoreUnavailable) -> None:
        logger.warning(text, error.reason, error, self._consequence)
        logger.debug("how the conversation store failed", exc_info=error)

    def _wrote(self) -> None:
        self._refuses_writes = False
        self.last_error = None
        logger.info("conversation store writes again")

    def _start_probe(self) -> None:
        loop = asyncio.get_running_loop()
        probe = self._probe
        if probe is not None and not probe.done() and probe.get_loop() is loop:
            return
        # In a context of its own: the probe outlives the request, and is not part of its trace.
        self._probe = loop.create_task(self._knock(), context=contextvars.Context())

    async def _knock(self) -> None:
        backoff = Backoff(PROBE_BASE_SECONDS, PROBE_CAP_SECONDS)
        with suppress_instrumentation():
            while True:
                await asyncio.sleep(backoff.next())
                try:
                    await self._backend.ping(PROBE_TIMEOUT_SECONDS)
                    # A server that answers PING may still refuse what requests ask of it.
                    await self._backend.load(NOBODYS, 1, PROBE_TIMEOUT_SECONDS)
                except StoreUnavailable as error:
                    self._breaker.failed()
                    self.last_error = str(error)
                except UnreadableConversation:  # it answers: somebody else uses that key
                    break
                else:
                    break
        self._breaker.close()
        self.is_away = False
        if not self._refuses_writes:
            self.last_error = None
        logger.info("conversation store back")
