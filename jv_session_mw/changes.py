"""Plain data: all that crosses between the store and a backend.

Values are bytes here. A backend neither decodes them nor knows what a conversation is.
"""

from binascii import b2a_base64
from os import urandom
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from jv_session_mw.stretch import NO_MESSAGES, Stretch


@mypyc_attr(acyclic=True)
class Plain:
    """Equal to what is of the same class and has the same parts.

    No struct: compiled code reads a part of one in 160 instructions, and here in three.
    """

    __slots__ = ()

    def parts(self) -> tuple[object, ...]:
        """Return what it was made of."""
        return ()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Plain) and type(self) is type(other) and self.parts() == other.parts()
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.parts()}"


@mypyc_attr(acyclic=True)
class Snapshot(Plain):
    """What a load found.

    `version` 0 means that nothing is stored; `deleted` that a tombstone stands there. `birth` tells
    this conversation from a later one under the same key. Of `total` stored messages only the last
    few are here. `ttl_ms` is what remains. `fallback` is empty, or the reason why memory answered
    in place of the store. `commit_id` is that of the last commit, empty if it is not known, and
    `first_seq` the number of its first message: they tell whether a commit without a reply was
    stored.
    """

    __slots__ = (
        "birth", "commit_id", "created_ms", "deleted", "fallback", "fields", "first_seq",
        "messages", "total", "ttl_ms", "version",
    )  # fmt: skip

    def __init__(
        self,
        version: int = 0,
        created_ms: int = 0,
        ttl_ms: int = 0,
        total: int = 0,
        fields: dict[str, bytes] | None = None,
        messages: Stretch = NO_MESSAGES,
        deleted: bool = False,
        fallback: str = "",
        birth: str = "",
        commit_id: str = "",
        first_seq: int = 0,
    ) -> None:
        self.version: Final = version
        self.created_ms: Final = created_ms
        self.ttl_ms: Final = ttl_ms
        self.total: Final = total
        self.fields: Final = {} if fields is None else fields
        self.messages: Final = messages
        self.deleted: Final = deleted
        self.fallback: Final = fallback
        self.birth: Final = birth
        self.commit_id: Final = commit_id
        self.first_seq: Final = first_seq

    def parts(self) -> tuple[object, ...]:
        return (
            self.version, self.created_ms, self.ttl_ms, self.total, self.fields, self.messages,
            self.deleted, self.fallback, self.birth, self.commit_id, self.first_seq,
        )  # fmt: skip

    def from_memory(self, reason: str) -> "Snapshot":
        """Return it as what memory answers in place of the store, for that *reason*."""
        return Snapshot(
            self.version, self.created_ms, self.ttl_ms, self.total, self.fields, self.messages,
            self.deleted, reason, self.birth, self.commit_id, self.first_seq,
        )  # fmt: skip


@mypyc_attr(acyclic=True)
class Put(Plain):
    """New bytes for a field or message, and the bytes that the change rests on (None: absent)."""

    __slots__ = ("base", "value")

    def __init__(self, value: bytes, base: bytes | None = None) -> None:
        self.value: Final = value
        self.base: Final = base

    def parts(self) -> tuple[object, ...]:
        return self.value, self.base


@mypyc_attr(acyclic=True)
class Changes(Plain):
    """What a commit sends.

    `commit_id` makes a repeated commit harmless. `base_version` 0 may create the conversation;
    any other only updates one that still exists, with this `birth` (empty: any). `cleared` drops
    every message up to and including that sequence number. `revive` may create the conversation
    where a tombstone stands. `fence` is that of the turn it belongs to, 0 for none: it is refused
    as soon as a later turn has begun.
    """

    __slots__ = (
        "appended", "base_version", "birth", "cleared", "commit_id", "dropped", "fence", "fields",
        "removed", "replaced", "revive",
    )  # fmt: skip

    def __init__(
        self,
        commit_id: str,
        base_version: int,
        fields: dict[str, Put] | None = None,
        removed: dict[str, bytes] | None = None,
        appended: list[bytes] | None = None,
        replaced: dict[int, Put] | None = None,
        dropped: list[int] | None = None,
        cleared: int = 0,
        revive: bool = False,
        birth: str = "",
        fence: int = 0,
    ) -> None:
        self.commit_id = commit_id
        self.base_version = base_version
        self.fields = {} if fields is None else fields
        self.removed = {} if removed is None else removed
        self.appended = [] if appended is None else appended
        self.replaced = {} if replaced is None else replaced
        self.dropped = [] if dropped is None else dropped
        self.cleared = cleared
        self.revive = revive
        self.birth = birth
        self.fence = fence

    def parts(self) -> tuple[object, ...]:
        return (
            self.commit_id, self.base_version, self.fields, self.removed, self.appended,
            self.replaced, self.dropped, self.cleared, self.revive, self.birth, self.fence,
        )  # fmt: skip

    def resting_on(self, birth: str) -> "Changes":
        """Return a copy that rests on the conversation of this *birth*."""
        return Changes(
            self.commit_id, self.base_version, self.fields, self.removed, self.appended,
            self.replaced, self.dropped, self.cleared, self.revive, birth, self.fence,
        )  # fmt: skip

    def without_fence(self) -> "Changes":
        """Return a copy that belongs to no turn."""
        return Changes(
            self.commit_id, self.base_version, self.fields, self.removed, self.appended,
            self.replaced, self.dropped, self.cleared, self.revive, self.birth,
        )  # fmt: skip

    def empty(self) -> bool:
        return not (self.appended or self.fields or self.removed or self.revive or self.edits_log())

    def edits_log(self) -> bool:
        """Say whether messages are replaced, dropped or cleared, rather than only appended."""
        return bool(self.replaced or self.dropped or self.cleared)


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def new_commit_id() -> str:
    """Return an id that no other commit has: 72 random bits, in 12 URL-safe characters."""
    return b2a_base64(urandom(9), newline=False).translate(_URL_SAFE).decode()


@mypyc_attr(acyclic=True)
class Rules(Plain):
    """How a store keeps its conversations: the same for every commit of that store.

    `ttl_ms` slides with every commit; `lifetime_ms` and `max_messages` are 0 for no limit;
    `reject` refuses a commit that collides instead of letting the last writer win.
    """

    __slots__ = ("lifetime_ms", "max_messages", "reject", "ttl_ms")

    def __init__(
        self, ttl_ms: int, lifetime_ms: int = 0, max_messages: int = 0, reject: bool = False
    ) -> None:
        self.ttl_ms: Final = ttl_ms
        self.lifetime_ms: Final = lifetime_ms
        self.max_messages: Final = max_messages
        self.reject: Final = reject

    def parts(self) -> tuple[object, ...]:
        return self.ttl_ms, self.lifetime_ms, self.max_messages, self.reject


@mypyc_attr(acyclic=True)
class Outcome(Plain):
    """What a commit answers.

    `first_seq` is the sequence number of the first appended message; the others follow it.
    `conflicts` names the fields and messages whose stored value was not the one that the change
    rested on. `birth` is that of the conversation that was written. A commit is `fenced` when a
    later turn than its own has begun.
    """

    __slots__ = (
        "birth", "conflicts", "created_ms", "fallback", "first_seq", "status", "total", "ttl_ms",
        "version",
    )  # fmt: skip

    def __init__(
        self,
        status: Literal["committed", "conflict", "gone", "fenced"],
        version: int = 0,
        created_ms: int = 0,
        ttl_ms: int = 0,
        total: int = 0,
        first_seq: int = 0,
        conflicts: list[str] | None = None,
        fallback: str = "",
        birth: str = "",
    ) -> None:
        self.status: Final = status
        self.version: Final = version
        self.created_ms: Final = created_ms
        self.ttl_ms: Final = ttl_ms
        self.total: Final = total
        self.first_seq: Final = first_seq
        self.conflicts: Final = [] if conflicts is None else conflicts
        self.fallback: Final = fallback
        self.birth: Final = birth

    def parts(self) -> tuple[object, ...]:
        return (
            self.status, self.version, self.created_ms, self.ttl_ms, self.total, self.first_seq,
            self.conflicts, self.fallback, self.birth,
        )  # fmt: skip

    def from_memory(self, reason: str) -> "Outcome":
        """Return it as what memory answers in place of the store, for that *reason*."""
        return Outcome(
            self.status, self.version, self.created_ms, self.ttl_ms, self.total, self.first_seq,
            self.conflicts, reason, self.birth,
        )  # fmt: skip

    def known_by(self, birth: str) -> "Outcome":
        """Return it with the *birth* by which the caller knows the conversation."""
        return Outcome(
            self.status, self.version, self.created_ms, self.ttl_ms, self.total, self.first_seq,
            self.conflicts, self.fallback, birth,
        )  # fmt: skip


GONE: Final = Outcome(status="gone")
FENCED: Final = Outcome(status="fenced")
MISSING: Final = Snapshot()
DELETED: Final = Snapshot(deleted=True)
