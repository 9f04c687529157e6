"""What a conversation is once changes are stored, from what it was and the outcome."""

from collections.abc import Sequence

from msgspec.structs import replace

from jv_session_mw.changes import Changes, Outcome, Snapshot
from jv_session_mw.stretch import NO_MESSAGES, Stretch


def extended(stretch: Stretch, first: int, values: Sequence[bytes]) -> Stretch:
    """Return *stretch* with *values* at its end, whose numbers count on from *first*."""
    held, end = stretch.numbers, first + len(values)
    if isinstance(held, range) and held.stop == first:
        return Stretch(range(held.start, end), [*stretch.values, *values])
    if not held:
        return Stretch(range(first, end), values)
    return Stretch([*held, *range(first, end)], [*stretch.values, *values])


def applied(changes: Changes, fields: dict[str, bytes]) -> dict[str, bytes]:
    """Return *fields* with those set and without those removed; *fields* itself if none is."""
    puts, removed = changes.fields, changes.removed
    if not (puts or removed):
        return fields
    changed = fields.copy()
    for name, put in puts.items():
        changed[name] = put.value
    for name in removed:
        changed.pop(name, None)
    return changed


def stored(
    outcome: Outcome, fields: dict[str, bytes], messages: Stretch, commit_id: str = ""
) -> Snapshot:
    """Return what is stored by *outcome*, of which *fields* and *messages* are known here."""
    return Snapshot(
        outcome.version,
        outcome.created_ms,
        outcome.ttl_ms,
        outcome.total,
        fields,
        messages,
        fallback=outcome.fallback,
        birth=outcome.birth,
        commit_id=commit_id,
        first_seq=outcome.first_seq,
    )


def last_outcome(snapshot: Snapshot) -> Outcome:
    """Return what the last commit in *snapshot* was answered."""
    return Outcome(
        "committed",
        snapshot.version,
        snapshot.created_ms,
        snapshot.ttl_ms,
        snapshot.total,
        snapshot.first_seq,
        birth=snapshot.birth,
    )


def after(snapshot: Snapshot, changes: Changes, outcome: Outcome, window: int) -> Snapshot | None:
    """Return *snapshot* as it is once *changes* are stored, with the last *window* messages.

    A window of 0 is all of them. None when that cannot be told: somebody else has
    changed it meanwhile, or the log was edited.
    """
    if outcome.version != snapshot.version + 1 or outcome.conflicts:
        return None
    if changes.birth != snapshot.birth or changes.edits_log() or changes.revive:
        return None
    messages = snapshot.messages
    if changes.appended:
        messages = extended(messages, outcome.first_seq, changes.appended)
    most = min(window, outcome.total) if window else outcome.total
    if len(messages.values) > most:
        messages = messages[-most:] if most else NO_MESSAGES
    return stored(outcome, applied(changes, snapshot.fields), messages, changes.commit_id)


def completed(snapshot: Snapshot, changes: Changes, outcome: Outcome) -> Snapshot | None:
    """Return *snapshot* with *changes* in it, which were stored before a later version of it.

    None when that cannot be told: the log was edited.
    """
    if changes.edits_log() or changes.revive:
        return None
    fields, messages = snapshot.fields.copy(), dict(snapshot.messages)
    for name, put in changes.fields.items():
        if fields.get(name) == put.base:
            fields[name] = put.value
    for name, base in changes.removed.items():
        if fields.get(name) == base:
            del fields[name]
    messages |= enumerate(changes.appended, outcome.first_seq)
    numbers = sorted(messages)
    values = [messages[number] for number in numbers]
    return replace(snapshot, fields=fields, messages=Stretch(numbers, values))
