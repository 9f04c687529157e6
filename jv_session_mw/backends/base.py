"""What the store asks of a backend: bytes in, bytes out, each call atomic."""

from collections.abc import Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from jv_session_mw.changes import MISSING, Changes, Outcome, Snapshot
from jv_session_mw.condition import Condition
from jv_session_mw.lease import Claim, Lease
from jv_session_mw.stretch import Stretch

T = TypeVar("T")
Call: TypeAlias = Coroutine[Any, Any, T]


class Backend(Protocol):
    """Keeps conversations as bytes under keys that the store has already made safe.

    *timeout* is in seconds and is a promise: the call has returned or raised by then. A backend
    that cannot answer raises `StoreUnavailable`, when it is called or when the call is awaited. For
    bytes that it cannot read it raises `UnreadableConversation`, and leaves them as they are.
    Cancelling a call leaves its outcome open, but breaks nothing.
    """

    def open(self, timeout: float) -> Call[None]:
        """Connect and prepare, so that the first request does not pay for it."""
        ...

    def close(self) -> Call[None]: ...

    def ping(self, timeout: float) -> Call[None]:
        """Return when the backend answers, else raise `StoreUnavailable`."""
        ...

    def condition(self) -> Condition:
        """Say how it is, by what is known already: nobody is asked."""
        ...

    def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Call[Snapshot]:
        """Return fields and the last *window* messages (0: all), in one round trip.

        If nothing is stored, it is a snapshot of version 0, never an error. Loading writes nothing.
        Messages that the caller has already, in *known*, need not be sent again.
        """
        ...

    def older(self, key: str, before: int, count: int, timeout: float) -> Call[Stretch]:
        """Return up to *count* messages before the sequence number *before*, oldest first."""
        ...

    def commit(self, key: str, changes: Changes, timeout: float) -> Call[Outcome]:
        """Apply *changes*, refresh the TTL, and answer; repeating a commit changes nothing."""
        ...

    def touch(self, key: str, timeout: float) -> Call[int]:
        """Refresh the TTL and return it in milliseconds; 0 when there is nothing to refresh."""
        ...

    def delete(self, key: str, timeout: float) -> Call[bool]:
        """Remove the conversation and leave a tombstone for one TTL; say whether there was one."""
        ...

    def retire(self, key: str, seen: Snapshot, timeout: float) -> Call[bool]:
        """Delete the conversation unless it has changed since it was *seen*; say whether it did so.

        False also means that somebody else has deleted it meanwhile.
        """
        ...

    def lease(self, key: str, claim: Claim, timeout: float) -> Call[Lease]:
        """Give the turn to the claimant unless another one has it; repeating a claim prolongs it.

        A claim that was not granted may be made again. One whose answer was lost may have been
        granted: whoever does not want it any more gives it back.
        """
        ...

    def has(self, key: str, timeout: float) -> Call[bool]: ...

    def keys(self, timeout: float) -> Call[list[str]]:
        """Return the keys of every stored conversation; *timeout* bounds each step of the scan."""
        ...
