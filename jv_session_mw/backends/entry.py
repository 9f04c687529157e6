"""What memory keeps of one conversation, and how a commit changes it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from jv_session_mw.changes import Changes, Outcome, Put, Snapshot
from jv_session_mw.stretch import Stretch

REMEMBERED_COMMITS: Final = 8
ENTRY_OVERHEAD_BYTES: Final = 600
ITEM_OVERHEAD_BYTES: Final = 120
ELSEWHERE: Final = 2**40  # above every number that the store gives: no log has as many messages


class Entry:
    """One conversation as memory keeps it; the messages and their numbers are two lists.

    `expires` and `dies`, the ends of the TTL and of the lifetime, are moments of the backend's
    clock. `unseen` counts the older messages that are not here, `size` is an estimate in bytes.
    `origin` is the birth and the version that it had in the store, before it came here.
    """

    __slots__ = (
        "birth", "commits", "created_ms", "dies", "expires", "fields", "messages", "next_seq",
        "numbers", "origin", "size", "unseen", "version",
    )  # fmt: skip

    def __init__(
        self,
        version: int,
        birth: str,
        created_ms: int,
        expires: float,
        dies: float,
        *,
        next_seq: int = 1,
    ) -> None:
        self.version = version
        self.birth = birth
        self.created_ms = created_ms
        self.expires = expires
        self.dies = dies
        self.next_seq = next_seq
        self.fields: dict[str, bytes] = {}
        self.numbers: list[int] = []
        self.messages: list[bytes] = []
        self.unseen = 0
        self.size = ENTRY_OVERHEAD_BYTES
        self.commits: dict[str, Outcome] = {}
        self.origin: tuple[str, int] = ("", 0)


def entry_of(snapshot: Snapshot, expires: float, dies: float) -> Entry:
    """Return an entry that keeps *snapshot*; the bytes are shared, the containers are not."""
    entry = Entry(snapshot.version, snapshot.birth, snapshot.created_ms, expires, dies)
    entry.fields = dict(snapshot.fields)
    entry.numbers = numbers = list(snapshot.messages.numbers)
    entry.messages = list(snapshot.messages.values)
    if numbers:
        entry.next_seq = numbers[-1] + 1
    entry.unseen = snapshot.total - len(numbers)
    entry.size = weight(snapshot)
    return entry


def snapshot_of(entry: Entry, window: int, ttl_ms: int) -> Snapshot:
    """Return what a load finds of *entry*; the bytes are shared, the containers are not."""
    commits = entry.commits
    last = next(reversed(commits)) if commits else ""
    return Snapshot(
        version=entry.version,
        birth=entry.birth,
        created_ms=entry.created_ms,
        ttl_ms=ttl_ms,
        total=entry.unseen + len(entry.messages),
        fields=dict(entry.fields),
        messages=Stretch(entry.numbers[-window:], entry.messages[-window:]),
        commit_id=last,
        first_seq=commits[last].first_seq if last else 0,
    )


def outcome_of(entry: Entry, ttl_ms: int, first_seq: int, collisions: list[str]) -> Outcome:
    """Return the answer to the commit that has made *entry* what it is."""
    return Outcome(
        "committed",
        entry.version,
        entry.created_ms,
        ttl_ms,
        entry.unseen + len(entry.messages),
        first_seq,
        collisions,
        birth=entry.birth,
    )


def stretch_of(entry: Entry, before: int, count: int) -> Stretch:
    """Return up to *count* messages of *entry* from before the number *before*."""
    end = bisect_left(entry.numbers, before)
    part = slice(max(0, end - count), end)
    return Stretch(entry.numbers[part], entry.messages[part])


def weight(snapshot: Snapshot) -> int:
    """Return the bytes that *snapshot* takes, by estimate."""
    fields = snapshot.fields
    names_and_values = sum(len(name) + len(data) for name, data in fields.items())
    overhead = ENTRY_OVERHEAD_BYTES + ITEM_OVERHEAD_BYTES * len(fields)
    return overhead + names_and_values + size_of(snapshot.messages.values)


def size_of(messages: Sequence[bytes]) -> int:
    """Return the bytes that *messages* take, by the same estimate."""
    return ITEM_OVERHEAD_BYTES * len(messages) + sum(len(message) for message in messages)


def rests_on(entry: Entry, changes: Changes) -> bool:
    """Say whether *changes* rest on *entry*, by the birth it has here or had in the store."""
    return changes.birth in ("", entry.birth, entry.origin[0])


def conflicts(entry: Entry, changes: Changes) -> list[str]:
    """Name the fields and messages that are not what *changes* rest on."""
    fields, found = entry.fields, list[str]()
    for name, put in changes.fields.items():
        if _collides(fields.get(name), put):
            found.append(name)
    for name, base in changes.removed.items():
        if fields.get(name, base) != base:
            found.append(name)
    for number, put in changes.replaced.items():
        at = _place_of(entry, number)
        if _collides(None if at < 0 else entry.messages[at], put):
            found.append(f"messages#{number}")
    return found


def _collides(stored: bytes | None, put: Put) -> bool:
    return stored not in (put.base, put.value)


def set_apart(entry: Entry, birth: str, start: int) -> None:
    """Let *entry* go on apart from its original, under a new *birth* if one is given.

    Its next message is numbered *start*, or higher.
    """
    entry.origin = entry.birth, entry.version
    entry.birth = birth or entry.birth
    entry.next_seq = max(entry.next_seq, start)


def lay_base(entry: Entry, changes: Changes) -> int:
    """Put into the empty *entry* what *changes* rest on, so that they do not collide with it.

    Return the bytes by which it has grown.
    """
    fields, replaced = changes.fields, changes.replaced
    entry.fields = {name: put.base for name, put in fields.items() if put.base is not None}
    messages = sorted(
        (number, put.base) for number, put in replaced.items() if put.base is not None
    )
    entry.numbers = [number for number, _ in messages]
    entry.messages = [message for _, message in messages]
    parts = [ITEM_OVERHEAD_BYTES + len(name) + len(data) for name, data in entry.fields.items()]
    return sum(parts) + size_of(entry.messages)


def recall(entry: Entry, changes: Changes) -> Outcome | None:
    """Return the outcome of *changes* if they were committed before, else None.

    It carries the birth that *entry* has now, which may be a new one since memory took it over.
    """
    answer = entry.commits.get(changes.commit_id)
    return None if answer is None else answer.known_by(entry.birth)


def remember(entry: Entry, changes: Changes, outcome: Outcome) -> None:
    """Keep *outcome*, to answer *changes* with it should they come a second time."""
    commits = entry.commits
    commits[changes.commit_id] = outcome
    if len(commits) > REMEMBERED_COMMITS:
        del commits[next(iter(commits))]


def rewrite(entry: Entry, changes: Changes) -> int:
    """Apply all that is not an append, and return the bytes by which *entry* has grown.

    Only what is touched is measured: a turn costs the same however long the log is.
    """
    fields, grown = entry.fields, 0
    for name, put in changes.fields.items():
        stored = fields.get(name)
        grown += len(put.value)
        grown += ITEM_OVERHEAD_BYTES + len(name) if stored is None else -len(stored)
        fields[name] = put.value
    for name in changes.removed:
        stored = fields.pop(name, None)
        if stored is not None:
            grown -= ITEM_OVERHEAD_BYTES + len(name) + len(stored)
    if changes.edits_log():
        grown += _edit_log(entry, changes)
    return grown


def keep_last(entry: Entry, count: int) -> int:
    """Drop all messages but the last *count*, and return the bytes by which *entry* has grown."""
    size = size_of(entry.messages[:-count])
    del entry.numbers[:-count], entry.messages[:-count]
    return -size


def _edit_log(entry: Entry, changes: Changes) -> int:
    """Replace, drop and clear messages, and return the bytes by which *entry* has grown.

    Dropping walks only from the first dropped message on.
    """
    numbers, messages, grown = entry.numbers, entry.messages, 0
    for number, put in changes.replaced.items():
        at = _place_of(entry, number)
        if at >= 0:
            grown += len(put.value) - len(messages[at])
            messages[at] = put.value
    gone = {_place_of(entry, number) for number in changes.dropped} - {-1}
    if gone:
        first = min(gone)
        left = [at for at in range(first, len(numbers)) if at not in gone]
        grown -= size_of([messages[at] for at in gone])
        numbers[first:], messages[first:] = (
            [numbers[at] for at in left],
            [messages[at] for at in left],
        )
    if changes.cleared:
        end = bisect_right(numbers, changes.cleared)
        grown -= size_of(messages[:end])
        del numbers[:end], messages[:end]
        entry.unseen = 0
    return grown


def _place_of(entry: Entry, number: int) -> int:
    """Return the index of the message with this *number*; -1 if it is not here."""
    at = bisect_left(entry.numbers, number)
    return at if at < len(entry.numbers) and entry.numbers[at] == number else -1
