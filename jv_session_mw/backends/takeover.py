"""What memory takes over from a store that is away, and decides about from then on."""

from jv_session_mw.backends.copies import Copies
from jv_session_mw.backends.entry import ELSEWHERE
from jv_session_mw.backends.memory import Memory
from jv_session_mw.backends.replay import Replay
from jv_session_mw.changes import GONE, MISSING, Changes, Outcome, Snapshot, new_commit_id
from jv_session_mw.stretch import Stretch


class Takeover:
    """The conversations that were written or deleted while the store was away.

    They are in *kept*, where they came from *copies* if this process had one. With a *replay* they
    go back to the store once all that happened to them here was applied there.
    """

    def __init__(self, kept: Memory, copies: Copies, replay: Replay | None) -> None:
        self._kept = kept
        self._copies = copies
        self._replay = replay

    def covers(self, key: str) -> bool:
        """Say whether memory decides what is stored under *key*, rather than the primary."""
        if key in self._kept:
            return True
        return self._replay is not None and key in self._replay.journal

    def take(self, key: str, changes: Changes) -> Outcome:
        """Apply *changes*, which the store cannot be asked to, to what is known here of *key*.

        Memory decides about it from then on, unless it refuses them.
        """
        if self.covers(key):
            return self.commit(key, changes)
        copies = self._copies.memory(key)
        if copies.is_deleted(key) and not changes.revive:
            return GONE
        replay, held = self._replay, copies.load(key, 0)
        # With a replay, memory and the store may differ from now on: a birth of its own tells later
        # which of the two a commit rests on.
        mark = new_commit_id() if replay is not None else ""
        rests_on_held = changes.base_version and changes.birth in ("", held.birth or changes.birth)
        here = changes.resting_on(mark) if mark and rests_on_held else changes
        is_copied = copies.move(key, self._kept, mark)
        if not is_copied and changes.base_version:
            # The client knows it, but this process has no copy: it goes on without its history.
            self._kept.admit(key, here)
            held = Snapshot(birth=changes.birth, messages=Stretch((ELSEWHERE,), (b"",)))
        outcome = self._kept.commit(key, here, mark)
        if outcome.status != "committed":
            if is_copied:  # it is still what the store has
                self._kept.move(key, copies, held.birth)
            return outcome
        if changes.revive:
            copies.forget_all(key)
        if replay is not None:
            replay.committed(key, here, outcome, held)
        return outcome

    def commit(self, key: str, changes: Changes) -> Outcome:
        """Apply *changes* to what memory has taken over, and journal them for the replay."""
        if changes.revive:
            self._copies.memory(key).forget_all(key)
        if self._replay is None:
            return self._kept.commit(key, changes)
        here = self._replay.based_here(key, changes)
        if key not in self._replay.journal:  # the journal had no room for it
            return self._kept.commit(key, here)
        if key not in self._kept and changes.base_version:  # it was dropped to make room
            self._kept.admit(key, here)
        outcome = self._kept.commit(key, here, new_commit_id())
        self._replay.committed(key, here, outcome, MISSING)
        return outcome

    def delete(self, key: str) -> None:
        """Leave a tombstone, and journal the delete for the replay.

        A conversation that the journal had no room for is sticky: the primary never hears of it.
        """
        replay = self._replay
        is_sticky = replay is not None and key in self._kept and key not in replay.journal
        self._kept.delete(key)
        if replay is not None and not is_sticky:
            replay.deleted(key)

    def forget(self, key: str) -> None:
        """Journal nothing of *key* any more: it was deleted in the store."""
        if self._replay is not None:
            self._replay.forget(key)
