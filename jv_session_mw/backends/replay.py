"""What was written during an outage, applied to the store as ordinary commits when it is back."""

import asyncio
import contextvars
import logging
import random
import time

from jv_session_mw.backends.copies import Copies
from jv_session_mw.backends.journal import Journal, JournaledCommit, Record
from jv_session_mw.backends.memory import Memory
from jv_session_mw.backends.numbering import Numbering
from jv_session_mw.backends.replayed_calls import ReplayedCalls
from jv_session_mw.backoff import Backoff
from jv_session_mw.changes import Changes, Outcome, Put, Snapshot, new_commit_id
from jv_session_mw.errors import StoreError, StoreUnavailable

logger = logging.getLogger("jv_session_mw")

AT_ONCE = 64
PAUSE_SECONDS = 0.02
RETRY_BASE_SECONDS = 0.05
RETRY_CAP_SECONDS = 0.5
CLOSE_SECONDS = 3.0
SECONDS_BETWEEN_LINES = 1.0


class Replay:
    """Journals what memory takes over, and replays it, each commit under the id that it had.

    A conversation is served from *kept* until all of it is in the store. Then it is served from
    the store, and goes back to the copies. What cannot be applied is logged and counted in
    `conflicts`: a field that somebody else has changed meanwhile, a conversation that was deleted
    in the store, what the full journal had to drop.
    """

    def __init__(
        self,
        primary: ReplayedCalls,
        kept: Memory,
        copies: Copies,
        journal: Journal,
    ) -> None:
        self._primary = primary
        self._kept = kept
        self._copies = copies
        self._task: asyncio.Task[None] | None = None
        self._untold = 0
        self._tell_at = 0.0
        self.journal = journal
        self.conflicts = 0

    def committed(self, key: str, changes: Changes, outcome: Outcome, held: Snapshot) -> None:
        """Journal what memory took; *held* is what the store had before, as far as known."""
        if outcome.status != "committed":
            return
        record = self.journal.find(key)
        if record is None:
            record = self.journal.begin(key, held, outcome.birth)
        elif outcome.birth != record.numbering.memory_birth:  # deleted or forgotten, and begun anew
            record.numbering = Numbering(outcome.birth, "", 0)
        self.journal.add(key, record, changes, outcome)
        self._bound()
        self.start()

    def deleted(self, key: str) -> None:
        """Journal a delete that the store has not heard of."""
        record = self.journal.find(key) or self.journal.begin(key, Snapshot(), "")
        self.journal.clear(record)
        record.deleted = True
        self._bound()
        self.start()

    def forget(self, key: str) -> None:
        """Drop the journal of *key*: it was deleted in the store."""
        record = self.journal.find(key)
        if record is not None:
            self.journal.clear(record)
            self._finish(key)

    def based_here(self, key: str, changes: Changes) -> Changes:
        """Return *changes* as resting on what memory keeps now.

        They may rest on the store, or on what memory had kept in an earlier outage.
        """
        record, changes = self.journal.find(key), self.journal.for_store(changes)
        return changes if record is None else record.numbering.for_memory(changes)

    def start(self) -> None:
        """Start the task that replays the journal, unless it runs already in this event loop."""
        loop = asyncio.get_running_loop()
        task = self._task
        if task is None or task.done() or task.get_loop() is not loop:
            self._task = loop.create_task(self._run(), context=contextvars.Context())

    async def close(self) -> None:
        """Replay what is left if the store is back soon; log what is lost with the process."""
        task, self._task = self._task, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({task}, timeout=CLOSE_SECONDS)
            task.cancel()
            await asyncio.wait({task})
        if self.journal:
            logger.error(
                "%d conversations were changed while the store was away, and end with this process",
                len(self.journal),
            )

    async def _run(self) -> None:
        backoff = Backoff(RETRY_BASE_SECONDS, RETRY_CAP_SECONDS)
        while self.journal:
            await asyncio.sleep(backoff.next())
            if await self._round():
                backoff = Backoff(RETRY_BASE_SECONDS, RETRY_CAP_SECONDS)
        if self._untold:
            self._tell_at = 0.0
            self._report(0, "more of the same")

    async def _round(self) -> bool:
        """Replay all conversations, a few at a time, and say whether any was finished.

        It pauses in between, because other processes come back too, and ends early where the store
        takes nothing now. One that fails does not hold up the others: each round begins elsewhere.
        """
        keys, progress = self.journal.keys(), False
        first = int(random.random() * len(keys))
        keys = keys[first:] + keys[:first]
        for at in range(0, len(keys), AT_ONCE):
            batch = [self._try(key) for key in keys[at : at + AT_ONCE]]
            progress |= any(await asyncio.gather(*batch))
            if self._primary.is_degraded:
                break
            await asyncio.sleep(PAUSE_SECONDS * random.random())
        return progress

    async def _try(self, key: str) -> bool:
        try:
            await self._replay(key)
        except StoreUnavailable:
            return False
        return True

    async def _replay(self, key: str) -> None:
        record = self.journal.find(key)
        if record is None:
            return
        try:
            while self.journal.find(key) is record:
                if record.deleted:
                    await self._primary.delete(key)
                    record.deleted = False
                elif record.commits:
                    await self._replay_oldest(key, record)
                else:
                    await self._hand_back(key, record)
        except StoreUnavailable:
            raise
        except StoreError as error:  # what the store has cannot be read, and stays as it is
            self._give_up(record, str(error))
            if self.journal.find(key) is record:
                self._finish(key)

    async def _hand_back(self, key: str, record: Record) -> None:
        """Let the store decide again, unless there is more to replay by now."""
        stored = await self._primary.load(key, self._copies.window)
        if self.journal.find(key) is record and not (record.deleted or record.commits):
            self._finish(key)
            self._copies.loaded(key, stored)

    async def _replay_oldest(self, key: str, record: Record) -> None:
        commit = record.commits[0]
        changes = commit.numbering.for_store(commit.changes)
        outcome = await self._primary.commit(key, changes)
        if not self._is_oldest(key, record, commit):
            return  # deleted meanwhile
        if outcome.status == "gone":
            if changes.base_version:
                await self._bring_back(key, record)
            else:
                self._give_up(record, "it was deleted there")
            return
        if outcome.conflicts:
            self._report(len(outcome.conflicts), f"{', '.join(outcome.conflicts)} collided")
        self.journal.take(record)
        if outcome.status == "committed":
            commit.numbering.note_replayed(commit.numbers, outcome)
            return
        rest = _without(commit.changes, outcome.conflicts, commit.numbering)
        if not rest.empty():
            self.journal.put_first(record, rest, commit.numbers, commit.numbering)

    async def _bring_back(self, key: str, record: Record) -> None:
        """Create again what the store has lost; what was deleted there stays deleted."""
        commit = record.commits[0]
        stored = await self._primary.load(key, 1)
        if not self._is_oldest(key, record, commit):
            return
        kept = self._kept.load(key, 0)
        if stored.deleted or stored.version or not kept.version:
            self._give_up(record, "it was deleted or has expired there")
            return
        fields = {name: Put(value) for name, value in kept.fields.items()}
        whole = Changes(new_commit_id(), 0, fields=fields, appended=list(kept.messages.values))
        self.journal.clear(record)
        record.numbering.begin_anew()
        self.journal.put_first(record, whole, kept.messages.numbers, record.numbering)

    def _is_oldest(self, key: str, record: Record, commit: JournaledCommit) -> bool:
        current = self.journal.find(key) is record and not record.deleted
        return current and bool(record.commits) and record.commits[0] is commit

    def _give_up(self, record: Record, why: str) -> None:
        self._report(len(record.commits), why)
        self.journal.clear(record)

    def _finish(self, key: str) -> None:
        self.journal.finish(key)
        self._kept.forget_all(key)

    def _bound(self) -> None:
        for record in self.journal.overflow():
            self._report(len(record.commits) + record.deleted, "the journal is full")

    def _report(self, count: int, why: str) -> None:
        """Count them, and log at most one line a second, however many conversations there are."""
        self.conflicts += count
        self._untold += count
        now = time.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + SECONDS_BETWEEN_LINES
        count, self._untold = self._untold, 0
        logger.warning(
            "changes of an outage could not be applied as they were (%d): %s", count, why
        )


def _without(changes: Changes, conflicts: list[str], numbering: Numbering) -> Changes:
    """Return *changes* without the *conflicts*, which name messages by the store's numbers."""
    collided = set(conflicts)

    def stays(number: int) -> bool:
        if changes.birth == numbering.memory_birth:
            return f"messages#{numbering.store_number(number)}" not in collided
        return f"messages#{number}" not in collided

    left = changes.resting_on(changes.birth)
    left.fields = {name: put for name, put in left.fields.items() if name not in collided}
    left.removed = {name: base for name, base in left.removed.items() if name not in collided}
    left.replaced = {number: put for number, put in left.replaced.items() if stays(number)}
    return left
