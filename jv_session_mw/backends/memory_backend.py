"""The memory of this process as a `Backend`: for development and tests."""

from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import MISSING, Changes, Outcome, Snapshot
from jv_session_mw.condition import Condition
from jv_session_mw.lease import UNSHARED, Claim, Lease
from jv_session_mw.stretch import Stretch


class MemoryBackend:
    """Answers from *memory* at once: there is nothing to connect to, and no call takes time."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def open(self, timeout: float) -> None: ...

    async def close(self) -> None: ...

    async def ping(self, timeout: float) -> None: ...

    def condition(self) -> Condition:
        return Condition(in_memory=len(self._memory))

    async def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        return self._memory.load(key, window)

    async def older(self, key: str, before: int, count: int, timeout: float) -> Stretch:
        return self._memory.older(key, before, count)

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        return self._memory.commit(key, changes)

    async def touch(self, key: str, timeout: float) -> int:
        return self._memory.touch(key)

    async def delete(self, key: str, timeout: float) -> bool:
        return self._memory.delete(key)

    async def retire(self, key: str, seen: Snapshot, timeout: float) -> bool:
        return not self._memory.has_changed(key, seen) and self._memory.delete(key)

    async def lease(self, key: str, claim: Claim, timeout: float) -> Lease:
        return UNSHARED

    async def has(self, key: str, timeout: float) -> bool:
        return self._memory.has(key)

    async def keys(self, timeout: float) -> list[str]:
        return self._memory.keys()
