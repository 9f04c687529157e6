"""A database that counts, and a writer that writes when it is told to."""

import asyncio
from collections.abc import Sequence

from jv_session_mw.errors import TrackerUnavailable
from jv_session_mw.tracking.activity import Activity, Details, Item
from jv_session_mw.tracking.ledger import BadItems
from jv_session_mw.tracking.write_behind import WriteBehind

AN_HOUR = 3600.0


class Database:
    """Counts messages by id, applies a batch once, and fails as it is told."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.sizes: list[int] = []
        self.batches: list[str] = []
        self.failures: list[Exception | None] = []
        self.poison: set[str] = set()
        self.loses_replies = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.waits = asyncio.Event()

    async def send(self, batch: str, items: Sequence[Item]) -> list[int]:
        self.sizes.append(len(items))
        self.waits.set()
        await self.may_answer.wait()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None and not self.loses_replies:
            raise failure
        if self.poison & {item["id"] for item in items}:
            raise BadItems("poison")
        if batch not in self.batches:
            self.batches.append(batch)
            for item in items:
                self.counts[item["id"]] = self.counts.get(item["id"], 0) + item["messages"]
        if failure is not None:
            raise failure
        return [item["n"] for item in items if item["id"].startswith("ended")]


def behind(database: Database, *, interval: float = AN_HOUR, most: int = 100) -> WriteBehind:
    return WriteBehind(database.send, interval=interval, max_batch=10, max_pending=most)


def note(writer: WriteBehind, id: str, messages: int = 1, details: Details | None = None) -> bool:
    return writer.note(("", id), Activity(0.0, 0.0, messages, details=details))


AWAY = TrackerUnavailable("away", reason="connection")
