"""Memory in place of a store that is away, under `recovery="sticky"` or `"replay"`."""

from itertools import count

from jv_session_mw.backends.copies import Copies
from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.backends.journal import Journal
from jv_session_mw.backends.memory import Memory
from jv_session_mw.backends.replay import Replay
from jv_session_mw.backends.replayed_calls import ReplayedCalls
from jv_session_mw.backends.takeover import Takeover
from jv_session_mw.changes import MISSING, Changes, Outcome, Rules, Snapshot
from jv_session_mw.condition import Condition
from jv_session_mw.errors import StoreUnavailable
from jv_session_mw.lease import UNSHARED, Claim, Lease
from jv_session_mw.stretch import Stretch

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 2**20
A_QUARTER_OF_ENTRIES = MAX_ENTRIES // 4
A_QUARTER_OF_BYTES = MAX_BYTES // 4
KEPT = "kept"
NUMBERS_APART = 2**20  # more messages than one conversation is given in an outage


class FallbackBackend:
    """Asks the primary, and answers from memory what the primary cannot.

    Two bounded memories stand behind it. `copies` follows the conversations that this process
    served lately, so that they go on with their context; it answers only when the primary does
    not. `kept` holds what was written or deleted while the primary was away, and is asked first.
    Such a conversation stays in memory until its TTL, and nothing of it is migrated. With
    *replaying*, the calls of the primary for that, it is replayed and then served by the primary
    again.
    """

    def __init__(
        self,
        primary: GuardedBackend,
        rules: Rules,
        *,
        window: int,
        replaying: ReplayedCalls | None = None,
    ) -> None:
        self._primary = primary
        # One quarter of the bytes is for the copies, another for the journal if there is one.
        quarters_kept = 3 if replaying is None else 2
        # Memory numbers messages from far above what the store has ever given or will give.
        self.kept = Memory(
            rules,
            max_entries=3 * A_QUARTER_OF_ENTRIES,
            max_bytes=quarters_kept * A_QUARTER_OF_BYTES,
            starts=count(ELSEWHERE + 1, NUMBERS_APART),
        )
        self.copies = Copies(
            rules,
            window=window,
            max_entries=A_QUARTER_OF_ENTRIES,
            max_bytes=A_QUARTER_OF_BYTES,
        )
        self.replay: Replay | None = None
        if replaying is not None:
            journal = Journal(3 * A_QUARTER_OF_ENTRIES, A_QUARTER_OF_BYTES)
            self.replay = Replay(replaying, self.kept, self.copies, journal)
        self._takeover = Takeover(self.kept, self.copies, self.replay)

    async def open(self, timeout: float) -> None:
        await self._primary.open(timeout)

    async def close(self) -> None:
        if self.replay is not None:
            await self.replay.close()
        await self._primary.close()

    async def ping(self, timeout: float) -> None:
        await self._primary.ping(timeout)

    def condition(self) -> Condition:
        replay = self.replay
        return Condition(
            degraded=self._primary.is_degraded,
            last_error=self._primary.last_error,
            in_memory=len(self.kept) + len(self.copies),
            to_replay=0 if replay is None else len(replay.journal),
            replay_conflicts=0 if replay is None else replay.conflicts,
        )

    async def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        if self._takeover.covers(key):
            return self.kept.load(key, window).from_memory(KEPT)
        deleted = self.copies.deleted_until(key)
        held = self.copies.last(key, known)
        try:
            snapshot = await self._primary.load(key, window, timeout, held)
        except StoreUnavailable as error:
            source = self.kept if self._takeover.covers(key) else self.copies.memory(key)
            return source.load(key, window).from_memory(error.reason)
        if self._takeover.covers(key):  # written by another request while this one waited
            return self.kept.load(key, window).from_memory(KEPT)
        if self.copies.deleted_until(key) == deleted:  # not by another request meanwhile
            self.copies.loaded(key, snapshot, held)
        return snapshot

    async def older(self, key: str, before: int, count: int, timeout: float) -> Stretch:
        """Look into `kept` first: what is older than all of that, only the primary has.

        Raises `StoreUnavailable` for messages that cannot be reached now: they are not absent.
        """
        held = self.kept.older(key, before, count)
        if held:
            return held
        try:
            return await self._primary.older(key, before, count, timeout)
        except StoreUnavailable:
            held = self.copies.memory(key).older(key, before, count)
            if not held:
                raise
            return held

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        if self._takeover.covers(key):
            return self._takeover.commit(key, changes).from_memory(KEPT)
        asked = changes
        if self.replay is not None:
            changes = self.replay.journal.for_store(changes)
        deleted = self.copies.deleted_until(key)
        try:
            outcome = await self._primary.commit(key, changes, timeout)
        except StoreUnavailable as error:
            return self._takeover.take(key, changes).from_memory(error.reason)
        if self._takeover.covers(key):  # another commit, without a reply, was taken over meanwhile
            if self.kept.came_with(key, outcome):  # its copy had this commit in it already
                return outcome.known_by(asked.birth or outcome.birth).from_memory(KEPT)
            return self._takeover.commit(key, changes).from_memory(KEPT)
        if outcome.status == "committed":
            if self.copies.deleted_until(key) == deleted:
                self.copies.committed(key, changes, outcome)
            if asked is not changes:  # the caller goes on with the numbers it had from memory
                outcome = outcome.known_by(asked.birth)
        elif outcome.status == "gone":
            self.copies.forget(key)
        return outcome

    async def touch(self, key: str, timeout: float) -> int:
        if self._takeover.covers(key):
            return self.kept.touch(key)
        try:
            return await self._primary.touch(key, timeout)
        except StoreUnavailable:
            return self.copies.memory(key).touch(key)

    async def delete(self, key: str, timeout: float) -> bool:
        """Delete from the primary and from memory; `kept` remembers it if the primary is away."""
        was_kept = self._takeover.covers(key)
        copies = self.copies.memory(key)
        held = self.kept.has(key) or copies.has(key)
        copies.delete(key)
        if was_kept:
            self._takeover.delete(key)
        try:
            existed = await self._primary.delete(key, timeout)
        except StoreUnavailable:
            existed = False
            self._takeover.delete(key)
        else:
            self._takeover.forget(key)
        self.copies.memory(key).delete(key)  # another request may have loaded it meanwhile
        return existed or held

    async def retire(self, key: str, seen: Snapshot, timeout: float) -> bool:
        if self._takeover.covers(key):
            if not self.kept.has(key) or self.kept.has_changed(key, seen):
                return False
            await self.delete(key, timeout)
            return True
        is_away = False
        try:
            was_retired = await self._primary.retire(key, seen, timeout)
        except StoreUnavailable:
            is_away, was_retired = True, not self.copies.memory(key).has_changed(key, seen)
        if not was_retired or self._takeover.covers(
            key
        ):  # by a commit of another request meanwhile
            return False
        self.copies.memory(key).delete(key)
        if is_away:
            self._takeover.delete(key)
        else:
            self._takeover.forget(key)
        return True

    async def lease(self, key: str, claim: Claim, timeout: float) -> Lease:
        """Ask the primary; what memory serves, no other process does.

        The primary may have granted before what is given back now: others wait for it there.
        """
        if claim.ms and self._takeover.covers(key):
            return UNSHARED
        try:
            return await self._primary.lease(key, claim, timeout)
        except StoreUnavailable:
            return UNSHARED

    async def has(self, key: str, timeout: float) -> bool:
        if self._takeover.covers(key):
            return self.kept.has(key)
        try:
            return await self._primary.has(key, timeout)
        except StoreUnavailable:
            return self.copies.memory(key).has(key)

    async def keys(self, timeout: float) -> list[str]:
        kept = self.kept.keys()
        try:
            others = await self._primary.keys(timeout)
        except StoreUnavailable:
            others = self.copies.whole().keys()
        return kept + [key for key in others if key not in self.kept]
