"""The store as a replay calls it: each call that reaches it is one span, of no request."""

from jv_session_mw.backends.base import Call
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.changes import Changes, Outcome, Snapshot
from jv_session_mw.keys import known_id
from jv_session_mw.store_call import StoreCall, tell_of_commit, tell_of_load
from jv_session_mw.telemetry import Telemetry


class ReplayedCalls:
    """Passes the calls of a replay to the guarded *primary*, each with *timeout* seconds.

    What the open breaker refuses makes no span: the replay asks again and again, and nothing has
    been called.
    """

    def __init__(self, primary: GuardedBackend, telemetry: Telemetry, timeout: float) -> None:
        self._primary = primary
        self._telemetry = telemetry
        self._timeout = timeout

    @property
    def is_degraded(self) -> bool:
        return self._primary.is_degraded

    def load(self, key: str, window: int) -> Call[Snapshot]:
        return self._load(key, self._primary.load(key, window, self._timeout))

    def commit(self, key: str, changes: Changes) -> Call[Outcome]:
        return self._commit(key, self._primary.commit(key, changes, self._timeout))

    def delete(self, key: str) -> Call[bool]:
        return self._delete(key, self._primary.delete(key, self._timeout))

    async def _load(self, key: str, asked: Call[Snapshot]) -> Snapshot:
        with self._span("load", key) as call:
            snapshot = await asked
            tell_of_load(call, snapshot)
        return snapshot

    async def _commit(self, key: str, asked: Call[Outcome]) -> Outcome:
        with self._span("save", key) as call:
            outcome = await asked
            tell_of_commit(call, outcome)
        return outcome

    async def _delete(self, key: str, asked: Call[bool]) -> bool:
        with self._span("delete", key) as call:
            existed = await asked
            call.result = "deleted" if existed else "missing"
        return existed

    def _span(self, operation: str, key: str) -> StoreCall:
        return self._telemetry.replayed(operation, known_id(key), self._timeout)
