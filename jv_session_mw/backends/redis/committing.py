"""What `commit.lua` is given for a commit, and its answer as an outcome."""

import hashlib
from typing import Final, TypeAlias, cast

from jv_session_mw.backends.redis.waiting import Argument, Reply
from jv_session_mw.changes import FENCED, GONE, Changes, Outcome

FEW_BYTES: Final = 16
DIGEST_DIGITS: Final = 16

# How an answer of `commit.lua` begins unless the conversation is gone; the conflicts follow.
Written: TypeAlias = tuple[bytes, bytes, int, int, int, int, int, bytes]


def head_of(changes: Changes) -> str:
    """Return the words of the head that `commit.lua` reads, after those of the rules."""
    head = (
        f"{changes.commit_id} {changes.base_version} {changes.birth or '-'} {int(changes.revive)} "
        f"{changes.cleared} {len(changes.fields)} {len(changes.removed)} {len(changes.appended)} "
        f"{len(changes.replaced)} {len(changes.dropped)}"
    )
    return f"{head} {changes.fence}" if changes.fence else head


def values_of(changes: Changes) -> list[Argument]:
    """Flatten *changes* into the groups that the head counts."""
    flat: list[Argument] = []
    for name, put in changes.fields.items():
        flat += (name, put.value, _base(put.base))
    for name, base in changes.removed.items():
        flat += (name, _base(base))
    flat += changes.appended
    for number, put in changes.replaced.items():
        flat += (number, put.value, _base(put.base))
    flat += changes.dropped
    return flat


def _base(base: bytes | None) -> str | bytes:
    """Return what the script compares a stored value with: few bytes themselves, else a digest."""
    if base is None:
        return ""
    if len(base) <= FEW_BYTES:
        return b"=" + base
    # SHA-1 because Lua scripts have it at hand. It only tells values apart, and guards nothing.
    return hashlib.sha1(base, usedforsecurity=False).hexdigest()[:DIGEST_DIGITS]


def outcome_of(reply: Reply) -> Outcome:
    answer = cast("list[Reply]", reply)
    if answer[1] == b"gone":
        return GONE
    if answer[1] == b"fenced":
        return FENCED
    _, status, version, created_ms, ttl_ms, total, first_seq, birth = cast(
        "Written", tuple(answer[:8])
    )
    conflicts = cast("list[bytes]", answer[8:])
    return Outcome(
        "committed" if status == b"committed" else "conflict",
        version,
        created_ms,
        ttl_ms,
        total,
        first_seq,
        [name.decode() for name in conflicts] if conflicts else [],
        birth=birth.decode(),
    )
