"""Memory in place of a store that is away, by the rule called sticky."""

from msgspec.structs import replace

from jv_session_mw.backends.copies import Copies
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.backends.memory import MemoryBackend
from jv_session_mw.changes import (
    GONE,
    MISSING,
    Changes,
    Condition,
    Outcome,
    Rules,
    Snapshot,
    Stretch,
)
from jv_session_mw.errors import StoreUnavailable

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 2**20
COPIES_SHARE = 4
KEPT = "kept"


class FallbackBackend:
    """Asks the primary, and answers from memory what the primary cannot.

    Two bounded memories stand behind it. `copies` follows the conversations that this process
    served lately, so that they go on with their context; it never speaks while the primary does.
    `kept` holds what was written or deleted while the primary was away, and is asked first: such
    a conversation stays in memory until its TTL, and nothing of it is migrated.
    """

    def __init__(self, primary: GuardedBackend, rules: Rules, *, window: int) -> None:
        self._primary = primary
        self.kept = MemoryBackend(
            rules,
            max_entries=MAX_ENTRIES - MAX_ENTRIES // COPIES_SHARE,
            max_bytes=MAX_BYTES - MAX_BYTES // COPIES_SHARE,
        )
        self.copies = Copies(
            rules,
            window=window,
            max_entries=MAX_ENTRIES // COPIES_SHARE,
            max_bytes=MAX_BYTES // COPIES_SHARE,
        )

    async def open(self, timeout: float) -> None:
        await self._primary.open(timeout)

    async def close(self) -> None:
        await self._primary.close()

    async def ping(self, timeout: float) -> None:
        await self._primary.ping(timeout)

    def condition(self) -> Condition:
        return Condition(
            degraded=self._primary.is_away,
            last_error=self._primary.last_error,
            in_memory=len(self.kept) + len(self.copies),
        )

    async def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        if key in self.kept:
            return replace(self.kept.snapshot(key, window), fallback=KEPT)
        try:
            snapshot = await self._primary.load(key, window, timeout, self.copies.last(key, known))
        except StoreUnavailable as error:
            source = self.kept if key in self.kept else self.copies.memory(key)
            return replace(source.snapshot(key, window), fallback=error.reason)
        if key in self.kept:  # written by another request while this one waited
            return replace(self.kept.snapshot(key, window), fallback=KEPT)
        self.copies.loaded(key, snapshot)
        return snapshot

    async def older(self, key: str, before: int, count: int, timeout: float) -> Stretch:
        """Look for what memory kept there first: beyond it lies what only the primary has.

        Messages that nothing can reach now are not absent: that raises `StoreUnavailable`.
        """
        held = await self.kept.older(key, before, count, timeout)
        if held:
            return held
        try:
            return await self._primary.older(key, before, count, timeout)
        except StoreUnavailable:
            held = await self.copies.memory(key).older(key, before, count, timeout)
            if not held:
                raise
            return held

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        if key in self.kept:
            return replace(self.kept.apply(key, changes), fallback=KEPT)
        try:
            outcome = await self._primary.commit(key, changes, timeout)
        except StoreUnavailable as error:
            return replace(self._take_over(key, changes), fallback=error.reason)
        if key in self.kept:  # by another commit, whose reply was lost while this one's was not
            return replace(self.kept.apply(key, changes), fallback=KEPT)
        if outcome.status == "committed":
            self.copies.committed(key, changes, outcome)
        elif outcome.status == "gone":
            self.copies.forget(key)
        return outcome

    async def touch(self, key: str, timeout: float) -> int:
        if key in self.kept:
            return await self.kept.touch(key, timeout)
        try:
            return await self._primary.touch(key, timeout)
        except StoreUnavailable:
            return await self.copies.memory(key).touch(key, timeout)

    async def delete(self, key: str, timeout: float) -> bool:
        """Delete from the primary and from memory; a tombstone stays where the primary is away."""
        was_kept = key in self.kept
        copies = self.copies.memory(key)
        held = await self.kept.has(key, timeout) or await copies.has(key, timeout)
        await copies.delete(key, timeout)
        if was_kept:
            await self.kept.delete(key, timeout)
        try:
            return await self._primary.delete(key, timeout) or held
        except StoreUnavailable:
            await self.kept.delete(key, timeout)
            return held

    async def has(self, key: str, timeout: float) -> bool:
        if key in self.kept:
            return await self.kept.has(key, timeout)
        try:
            return await self._primary.has(key, timeout)
        except StoreUnavailable:
            return await self.copies.memory(key).has(key, timeout)

    async def keys(self, timeout: float) -> list[str]:
        kept = await self.kept.keys(timeout)
        try:
            others = await self._primary.keys(timeout)
        except StoreUnavailable:
            others = await self.copies.whole().keys(timeout)
        return kept + [key for key in others if key not in self.kept]

    def _take_over(self, key: str, changes: Changes) -> Outcome:
        if key in self.kept:
            return self.kept.apply(key, changes)
        copies = self.copies.memory(key)
        if copies.is_deleted(key) and not changes.revive:
            return GONE
        if not copies.move(key, self.kept) and changes.base_version:
            # Known, but not to this process: it goes on from here without its history.
            self.kept.admit(key, changes)
        return self.kept.apply(key, changes)
