"""What a conversation is once changes are stored, from what it was and the outcome."""

from jv_session_mw.changes import Changes, Outcome, Snapshot
from jv_session_mw.stretch import NO_MESSAGES, Stretch


def fields_after(fields: dict[str, bytes], changes: Changes) -> dict[str, bytes]:
    """Return *fields* as *changes* leave them: *fields* itself if none is set or removed."""
    puts, removed = changes.fields, changes.removed
    if not (puts or removed):
        return fields
    changed = fields.copy()
    for name, put in puts.items():
        changed[name] = put.value
    for name in removed:
        changed.pop(name, None)
    return changed


def snapshot_from(
    outcome: Outcome, fields: dict[str, bytes], messages: Stretch, commit_id: str = ""
) -> Snapshot:
    """Return *outcome* as a snapshot, with the *fields* and *messages* that are known here."""
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
    """Return the outcome of the last commit in *snapshot*."""
    return Outcome(
        "committed",
        snapshot.version,
        snapshot.created_ms,
        snapshot.ttl_ms,
        snapshot.total,
        snapshot.first_seq,
        birth=snapshot.birth,
    )


def snapshot_after(
    snapshot: Snapshot, changes: Changes, outcome: Outcome, window: int
) -> Snapshot | None:
    """Return *snapshot* as *changes* leave it, with the last *window* messages (0: all).

    None when that is unknown: somebody else has changed it meanwhile, or so many messages were
    removed that older ones, which are not here, belong to the window.
    """
    if outcome.version != snapshot.version + 1 or outcome.conflicts:
        return None
    if changes.birth != snapshot.birth or changes.revive:
        return None
    messages = snapshot.messages
    most = min(window, outcome.total) if window else outcome.total
    if changes.edits_log():
        messages = _edited(messages, changes)
        if len(messages.values) + len(changes.appended) < most:
            return None
    if changes.appended:
        messages = messages.extended(outcome.first_seq, changes.appended)
    if len(messages.values) > most:
        messages = messages[-most:] if most else NO_MESSAGES
    fields = fields_after(snapshot.fields, changes)
    return snapshot_from(outcome, fields, messages, changes.commit_id)


def _edited(messages: Stretch, changes: Changes) -> Stretch:
    """Return *messages* with what *changes* replace in them, and without what they remove."""
    puts, dropped = changes.replaced, frozenset(changes.dropped)
    left = [
        (number, puts[number].value if number in puts else value)
        for number, value in messages
        if number > changes.cleared and number not in dropped
    ]
    return Stretch([number for number, _ in left], [value for _, value in left])


def snapshot_with(snapshot: Snapshot, changes: Changes, outcome: Outcome) -> Snapshot | None:
    """Return *snapshot*, taken of a later version, with earlier *changes* that it lacks.

    None when that is unknown, since they edit the log.
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
    commit_id = snapshot.commit_id
    return snapshot_from(last_outcome(snapshot), fields, Stretch(numbers, values), commit_id)
