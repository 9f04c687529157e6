"""Plain data: all that crosses between the store and a backend.

Values are bytes here. A backend neither decodes them nor knows what a conversation is.
"""

from binascii import b2a_base64
from os import urandom
from typing import Literal

from msgspec import Struct

from jv_session_mw.stretch import NO_MESSAGES, Stretch


class Snapshot(Struct, frozen=True, gc=False):
    """What a load found.

    `version` 0 means that nothing is stored; `deleted` that a tombstone stands there. `birth` tells
    this conversation from a later one under the same key. Of `total` stored messages only the last
    few are here. `ttl_ms` is what remains. `fallback` is empty, or the reason why memory answered
    in place of the store. `commit_id` is that of the last commit, empty if it is not known, and
    `first_seq` the number of its first message: they tell whether a commit without a reply was
    stored.
    """

    version: int = 0
    created_ms: int = 0
    ttl_ms: int = 0
    total: int = 0
    fields: dict[str, bytes] = {}
    messages: Stretch = NO_MESSAGES
    deleted: bool = False
    fallback: str = ""
    birth: str = ""
    commit_id: str = ""
    first_seq: int = 0


class Put(Struct, frozen=True, gc=False):
    """New bytes for a field or message, and the bytes that the change rests on (None: absent)."""

    value: bytes
    base: bytes | None = None


class Changes(Struct, gc=False):
    """What a commit sends.

    `commit_id` makes a repeated commit harmless. `base_version` 0 may create the conversation;
    any other only updates one that still exists, with this `birth` (empty: any). `cleared` drops
    every message up to and including that sequence number. `revive` may create the conversation
    where a tombstone stands. `fence` is that of the turn it belongs to, 0 for none: it is refused
    as soon as a later turn has begun.
    """

    commit_id: str
    base_version: int
    fields: dict[str, Put] = {}
    removed: dict[str, bytes] = {}
    appended: list[bytes] = []
    replaced: dict[int, Put] = {}
    dropped: list[int] = []
    cleared: int = 0
    revive: bool = False
    birth: str = ""
    fence: int = 0

    def empty(self) -> bool:
        return not (self.appended or self.fields or self.removed or self.revive or self.edits_log())

    def edits_log(self) -> bool:
        """Say whether messages are replaced, dropped or cleared, rather than only appended."""
        return bool(self.replaced or self.dropped or self.cleared)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def new_commit_id() -> str:
    """Return an id that no other commit has: 72 random bits, in 12 URL-safe characters."""
    return b2a_base64(urandom(9), newline=False).translate(_URL_SAFE).decode()


class Rules(Struct, frozen=True, gc=False):
    """How a store keeps its conversations: the same for every commit of that store.

    `ttl_ms` slides with every commit; `lifetime_ms` and `max_messages` are 0 for no limit;
    `reject` refuses a commit that collides instead of letting the last writer win.
    """

    ttl_ms: int
    lifetime_ms: int = 0
    max_messages: int = 0
    reject: bool = False


class Outcome(Struct, frozen=True, gc=False):
    """What a commit answers.

    `first_seq` is the sequence number of the first appended message; the others follow it.
    `conflicts` names the fields and messages whose stored value was not the one that the change
    rested on. `birth` is that of the conversation that was written. A commit is `fenced` when a
    later turn than its own has begun.
    """

    status: Literal["committed", "conflict", "gone", "fenced"]
    version: int = 0
    created_ms: int = 0
    ttl_ms: int = 0
    total: int = 0
    first_seq: int = 0
    conflicts: list[str] = []
    fallback: str = ""
    birth: str = ""


class Claim(Struct, frozen=True, gc=False):
    """What a turn asks for: to be the only one for the next *ms* milliseconds; 0 gives that back.

    `holder` is a name that no other turn has, `fence` what the first claim was given.
    """

    holder: str
    ms: int
    fence: int = 0


class Lease(Struct, frozen=True, gc=False):
    """What a claim was answered.

    `fence` is higher than that of all turns before. It is 0 where nobody else serves the
    conversation, so that the order among the requests of this process is enough.
    """

    is_granted: bool
    fence: int = 0


class Condition(Struct, frozen=True, gc=False):
    """How a backend is.

    `degraded` while memory stands in for the store; `in_memory` is how many conversations this
    process holds. Of these, `to_replay` wait to be applied to the store. `replay_conflicts` counts
    the changes that could not be applied as they were.
    """

    degraded: bool = False
    last_error: str | None = None
    in_memory: int = 0
    to_replay: int = 0
    replay_conflicts: int = 0


GONE = Outcome(status="gone")
FENCED = Outcome(status="fenced")
UNSHARED = Lease(is_granted=True)
MISSING = Snapshot()
DELETED = Snapshot(deleted=True)
