"""What waits to be written: merged by session, bounded, and taken in batches."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence

from msgspec import Struct

from jv_session_mw.tracking.activity import Activity
from jv_session_mw.tracking.keys import Key

MOST_SNAPSHOT_BYTES = 32 * 2**20
MOST_BATCH_BYTES = 2**20

Wanted = Callable[[Key], bool]


class Batch(Struct):
    """Activities that are sent together, each time under the same id; `sent` counts the times."""

    id: str
    activities: dict[Key, Activity]
    since: float
    sent: int = 0


class Pending:
    """The activities that wait, and the batches whose outcome is not known.

    `add` may be called in any thread.
    """

    def __init__(self, *, max_batch: int, max_pending: int) -> None:
        self._max_batch = max_batch
        self._max_pending = max_pending
        self.noted: dict[Key, Activity] = {}
        self.batches: list[Batch] = []
        self._held = 0
        self._weight = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.noted) + self._held

    def add(self, key: Key, activity: Activity) -> bool:
        """Add *activity*, and say whether there was room for it.

        There is always room for a session that waits already, or is on its way in a batch.
        """
        with self._lock:
            self._make_room(activity)
            held = self.noted.get(key)
            if held is not None:
                self._merge(held, activity)
                return True
            was = activity.was[-1] if activity.was else None
            if len(self) >= self._max_pending and not self._knows(key, was):
                return False
            before = self.noted.get(was) if was else None
            if was and before is not None and not before.is_over:  # unwritten under its old key
                self.noted[key] = self.noted.pop(was)
                self._merge(before, activity)
            else:
                self.noted[key] = activity
                self._weight += activity.weight
        return True

    def _merge(self, held: Activity, later: Activity) -> None:
        self._weight -= held.weight
        held.merge(later)
        self._weight += held.weight

    def next(self, wanted: Wanted | None) -> Batch | None:
        """Return the batch to write next, of all sessions or of those *wanted*; None if none waits.

        A batch that failed goes first, as it may be about the same session under its old key. And
        otherwise each caller that waits in an outage would leave one more batch behind.
        """
        for batch in self.batches:
            if any(_concerns(wanted, *noted) for noted in batch.activities.items()):
                return batch
        with self._lock:
            keys = [noted[0] for noted in self.noted.items() if _concerns(wanted, *noted)]
            if keys and self.batches:
                return self.batches[0]
            taken = self._take(keys)
        if not taken:
            return None
        batch = Batch(str(uuid.uuid4()), taken, time.monotonic())
        self.batches.append(batch)
        return batch

    def _take(self, keys: Sequence[Key]) -> dict[Key, Activity]:
        taken: dict[Key, Activity] = {}
        weight = 0
        for key in keys[: self._max_batch]:
            weight += self.noted[key].weight
            if taken and weight > MOST_BATCH_BYTES:
                break
            taken[key] = self.noted.pop(key)
        self._held += len(taken)
        return taken

    def divide(self, batch: Batch) -> None:
        """Put two halves in place of *batch*, which was not written, under new ids."""
        at, keys = self.batches.index(batch), list(batch.activities)
        halves = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        self.batches[at : at + 1] = [
            Batch(str(uuid.uuid4()), {key: batch.activities[key] for key in half}, batch.since)
            for half in halves
        ]

    def remove(self, batch: Batch) -> None:
        """Forget *batch*, which was written or given up."""
        self.batches.remove(batch)
        with self._lock:
            self._held -= len(batch.activities)
            self._weight -= sum(activity.weight for activity in batch.activities.values())

    def _knows(self, key: Key, was: Key | None) -> bool:
        """Say whether the session waits already, in a batch or under its key before a move."""
        return was in self.noted or any(key in batch.activities for batch in tuple(self.batches))

    def _make_room(self, activity: Activity) -> None:
        """Leave out the snapshot if too many wait: the next turn brings another one."""
        if activity.weight and self._weight + activity.weight > MOST_SNAPSHOT_BYTES:
            assert activity.details is not None
            activity.details.snapshot = None


def _concerns(wanted: Wanted | None, key: Key, activity: Activity) -> bool:
    """Say whether *wanted* asks for the session by its key, or by one that it had before."""
    return wanted is None or any(map(wanted, (key, *activity.was)))
