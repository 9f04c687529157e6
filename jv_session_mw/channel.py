"""One conversation's way to the backend: its key, and a span around each call."""

import asyncio
from time import monotonic

from msgspec import Struct
from opentelemetry.context import Context

from jv_session_mw.backends.base import Backend
from jv_session_mw.backoff import Backoff
from jv_session_mw.changes import Changes, Outcome, Snapshot
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationBusy, StoreUnavailable
from jv_session_mw.lease import Claim, Lease
from jv_session_mw.store_call import tell_of_commit, tell_of_load
from jv_session_mw.stretch import Stretch
from jv_session_mw.telemetry import Telemetry

WHOLE_LOG = 0
ASK_BASE_SECONDS = 0.02
ASK_CAP_SECONDS = 0.5


class Channel(Struct, frozen=True):
    """Makes each store call of one conversation one span under the request's own span.

    *parent* is the context in which the request came in: a save belongs beside the load, even if
    it runs in another task, or under a span that a generator left open.
    """

    backend: Backend
    telemetry: Telemetry
    parent: Context
    id: str
    key: str
    owner: str | None = None

    __repr__ = object.__repr__  # an id has no place in a log

    def name_request(self) -> None:
        """Put the hashed id on the request's own span, so that one query finds all turns."""
        self.telemetry.name_span(self.id, self.parent)

    async def load(self, window: int, deadline: Deadline) -> Snapshot:
        with self.telemetry.call("load", self.id, self.parent, deadline) as call:
            snapshot = await self.backend.load(self.key, window, deadline.left)
            if call.is_observed:
                tell_of_load(call, snapshot)
        return snapshot

    async def older(self, before: int, count: int, deadline: Deadline) -> Stretch:
        with self.telemetry.call("load", self.id, self.parent, deadline) as call:
            messages = await self.backend.older(self.key, before, count, deadline.left)
            call.result = "hit" if messages else "miss"
        return messages

    async def commit(self, changes: Changes, deadline: Deadline) -> Outcome:
        with self.telemetry.call("save", self.id, self.parent, deadline) as call:
            outcome = await self.backend.commit(self.key, changes, deadline.left)
            if call.is_observed:
                tell_of_commit(call, outcome)
        return outcome

    async def has(self, deadline: Deadline) -> bool:
        with self.telemetry.call("has", self.id, self.parent, deadline) as call:
            found = await self.backend.has(self.key, deadline.left)
            call.result = "hit" if found else "miss"
        return found

    async def touch(self, deadline: Deadline) -> int:
        with self.telemetry.call("touch", self.id, self.parent, deadline) as call:
            ttl_ms = await self.backend.touch(self.key, deadline.left)
            call.finished("refreshed" if ttl_ms else "gone", 0, ttl_ms)
        return ttl_ms

    async def delete(self, deadline: Deadline) -> bool:
        with self.telemetry.call("delete", self.id, self.parent, deadline) as call:
            existed = await self.backend.delete(self.key, deadline.left)
            call.result = "deleted" if existed else "missing"
        return existed

    async def retire(self, seen: Snapshot, deadline: Deadline) -> bool:
        with self.telemetry.call("delete", self.id, self.parent, deadline) as call:
            was_retired = await self.backend.retire(self.key, seen, deadline.left)
            call.result = "deleted" if was_retired else "changed"
        return was_retired

    async def lock(self, claim: Claim, until: float, seconds: float) -> Lease:
        """Claim the turn until it is granted; raises `ConversationBusy` when it is not by *until*.

        It is claimed once at least. Each claim may take *seconds*; all the waiting is one span.
        """
        with self.telemetry.call("lock", self.id, self.parent, Deadline(seconds)) as call:
            lease = await self._claim_again_and_again(claim, until, seconds)
            call.result = "granted" if lease.is_granted else "busy"
        if not lease.is_granted:
            raise ConversationBusy
        return lease

    async def _claim_again_and_again(self, claim: Claim, until: float, seconds: float) -> Lease:
        backoff = Backoff(ASK_BASE_SECONDS, ASK_CAP_SECONDS)
        while True:
            lease = await self.backend.lease(self.key, claim, seconds)
            left = until - monotonic()
            if lease.is_granted or left <= 0:
                return lease
            await asyncio.sleep(min(left, backoff.next()))

    async def unlock(self, claim: Claim, deadline: Deadline) -> bool:
        with self.telemetry.call("unlock", self.id, self.parent, deadline) as call:
            lease = await self.backend.lease(self.key, claim, deadline.left)
            call.result = "given_back" if lease.is_granted else "not_held"
        return lease.is_granted

    async def load_whole(self, deadline: Deadline) -> Snapshot:
        """Load all messages; raises `StoreUnavailable` where memory has only the last of them."""
        snapshot = await self.load(WHOLE_LOG, deadline)
        if snapshot.total > len(snapshot.messages):
            raise StoreUnavailable(
                "the store is away, and memory has only the last messages",
                reason=snapshot.fallback,
            )
        return snapshot
