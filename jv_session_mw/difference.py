"""The changes between what is stored and what is to be stored."""

from collections.abc import Mapping, Sequence

from jv_session_mw.changes import Changes, Put, Snapshot, new_commit_id


def difference(stored: Snapshot, fields: Mapping[str, bytes], messages: Sequence[bytes]) -> Changes:
    """Return the changes that turn *stored*, which has its whole log, into *fields* and *messages*.

    A log that has only grown is appended to. Any other is cleared and written anew.
    """
    before, held = stored.fields, list(stored.messages.values)
    changes = Changes(new_commit_id(), stored.version, birth=stored.birth)
    changes.fields = {
        name: Put(data, before.get(name))
        for name, data in fields.items()
        if before.get(name) != data
    }
    changes.removed = {name: data for name, data in before.items() if name not in fields}
    if list(messages[: len(held)]) == held:
        changes.appended = list(messages[len(held) :])
    else:
        changes.cleared = stored.messages.numbers[-1]
        changes.appended = list(messages)
    return changes
