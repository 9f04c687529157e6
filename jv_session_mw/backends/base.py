"""What the store asks of a backend: bytes in, bytes out, each call atomic."""

from typing import Protocol

from jv_session_mw.changes import MISSING, Changes, Condition, Outcome, Snapshot, Stretch


class Backend(Protocol):
    """Keeps conversations as bytes under keys that the store has already made safe.

    *timeout* is in seconds and is a promise: the call has returned or raised by then. A backend
    that cannot answer raises `StoreUnavailable`; bytes that it cannot make sense of are
    `UnreadableConversation` and stay as they are. Cancelling a call leaves its outcome open, and
    nothing else broken.
    """

    async def open(self, timeout: float) -> None:
        """Make ready, so that the first request does not pay for it."""
        ...

    async def close(self) -> None: ...

    async def ping(self, timeout: float) -> None:
        """Return when the backend answers, else raise `StoreUnavailable`."""
        ...

    def condition(self) -> Condition:
        """Say how it is, by what is known already."""
        ...

    async def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        """Return fields and the last *window* messages (0: all), in one round trip.

        Nothing stored is a snapshot of version 0, never an error. Loading writes nothing. Messages
        that the caller has in *known* already need not be sent again.
        """
        ...

    async def older(self, key: str, before: int, count: int, timeout: float) -> Stretch:
        """Return up to *count* messages before the sequence number *before*, oldest first."""
        ...

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        """Apply *changes*, refresh the TTL, and answer; repeating a commit changes nothing."""
        ...

    async def touch(self, key: str, timeout: float) -> int:
        """Refresh the TTL and return it in milliseconds; 0 when there is nothing to refresh."""
        ...

    async def delete(self, key: str, timeout: float) -> bool:
        """Remove the conversation and leave a tombstone for one TTL; say whether there was one."""
        ...

    async def has(self, key: str, timeout: float) -> bool: ...

    async def keys(self, timeout: float) -> list[str]:
        """Return the keys of every stored conversation; *timeout* bounds each step of the scan."""
        ...
