"""What memory keeps of one conversation, and how a commit changes it."""

from msgspec import Struct

from jv_session_mw.changes import Changes, Outcome, Put, Snapshot, Stretch

REMEMBERED_COMMITS = 8
ENTRY_OVERHEAD_BYTES = 600
ITEM_OVERHEAD_BYTES = 120
ELSEWHERE = 2**40  # no log has as many messages


class Entry(Struct):
    """One conversation as it is kept, its messages beside their sequence numbers.

    `expires` and `dies` are moments of the backend's clock, `unseen` counts the messages that
    stand before the first one but are not here, `size` is an estimate in bytes.
    """

    version: int
    birth: str
    created_ms: int
    expires: float
    dies: float
    fields: dict[str, bytes]
    numbers: list[int]
    messages: list[bytes]
    next_seq: int = 1
    unseen: int = 0
    size: int = 0
    commits: list[tuple[str, Outcome]] = []


def entry_of(snapshot: Snapshot, expires: float, dies: float) -> Entry:
    """Return what keeps *snapshot*; the bytes are shared, the containers are not."""
    numbers = list(snapshot.messages.numbers)
    return Entry(
        version=snapshot.version,
        birth=snapshot.birth,
        created_ms=snapshot.created_ms,
        expires=expires,
        dies=dies,
        fields=dict(snapshot.fields),
        numbers=numbers,
        messages=list(snapshot.messages.values),
        next_seq=numbers[-1] + 1 if numbers else 1,
        unseen=snapshot.total - len(numbers),
    )


def snapshot_of(entry: Entry, window: int, ttl_ms: int) -> Snapshot:
    """Return what a load finds of *entry*; the bytes are shared, the containers are not."""
    return Snapshot(
        version=entry.version,
        birth=entry.birth,
        created_ms=entry.created_ms,
        ttl_ms=ttl_ms,
        total=entry.unseen + len(entry.messages),
        fields=dict(entry.fields),
        messages=Stretch(entry.numbers[-window:], entry.messages[-window:]),
    )


def measured(entry: Entry) -> int:
    """Return the bytes that *entry* takes, by estimate."""
    size = ENTRY_OVERHEAD_BYTES
    size += sum(map(len, entry.fields)) + sum(map(len, entry.fields.values()))
    size += sum(map(len, entry.messages))
    return size + ITEM_OVERHEAD_BYTES * (len(entry.fields) + len(entry.messages))


def weight(snapshot: Snapshot) -> int:
    """Return the bytes that *snapshot* takes, by the same estimate."""
    fields, values = snapshot.fields, snapshot.messages.values
    size = ENTRY_OVERHEAD_BYTES + ITEM_OVERHEAD_BYTES * (len(fields) + len(values))
    return size + sum(map(len, fields)) + sum(map(len, fields.values())) + sum(map(len, values))


def conflicts(entry: Entry, changes: Changes) -> list[str]:
    """Name the fields and messages that are not what *changes* rest on."""
    found = [name for name, put in changes.fields.items() if _collides(entry.fields.get(name), put)]
    found += [
        name for name, base in changes.removed.items() if entry.fields.get(name, base) != base
    ]
    stored = dict(zip(entry.numbers, entry.messages, strict=True)) if changes.replaced else {}
    found += [
        f"messages#{seq}"
        for seq, put in changes.replaced.items()
        if _collides(stored.get(seq), put)
    ]
    return found


def _collides(stored: bytes | None, put: Put) -> bool:
    return stored not in (put.base, put.value)


def remember(entry: Entry, changes: Changes, outcome: Outcome) -> None:
    """Let *entry* know *changes* again when they come a second time."""
    entry.commits.append((changes.commit_id, outcome))
    del entry.commits[:-REMEMBERED_COMMITS]


def rewrite(entry: Entry, changes: Changes) -> bool:
    """Apply all that is not an append, and say whether there was any."""
    for name, put in changes.fields.items():
        entry.fields[name] = put.value
    for name in changes.removed:
        entry.fields.pop(name, None)
    if not (changes.cleared or changes.replaced or changes.dropped):
        return bool(changes.fields or changes.removed)
    if changes.cleared:
        entry.unseen = 0
    dropped = set(changes.dropped)
    left = [
        (number, changes.replaced[number].value if number in changes.replaced else message)
        for number, message in zip(entry.numbers, entry.messages, strict=True)
        if number > changes.cleared and number not in dropped
    ]
    entry.numbers = [number for number, _ in left]
    entry.messages = [message for _, message in left]
    return True
