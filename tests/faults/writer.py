"""A process under load: it writes numbered messages, and tells what became of each."""

import asyncio
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jv_session_mw import ConversationStore, RedisConversationStore
from jv_session_mw.errors import ConversationGone, StoreUnavailable
from tests.faults.history import History, Look

ROOT = Path(__file__).parents[2]
PAUSE_AFTER_REFUSAL = 0.01


class Load(msgspec.Struct):
    """What one process does: *turns* turns over *conversations*, *at_once* of them at a time.

    One in *cancel_every* turns is cancelled at some await; 0 is none. *options* are the store's.
    """

    name: str
    seed: int
    turns: int
    conversations: int = 50
    at_once: int = 16
    cancel_every: int = 0
    pause: float = 0.0
    options: dict[str, Any] = {}


class Writer:
    """Does a load over a store; `stop` ends it early."""

    def __init__(self, load: Load, store: ConversationStore) -> None:
        self._load = load
        self._store = store
        self._chance = random.Random(load.seed)
        self._numbers = iter(range(load.turns))
        self.history = History()
        self.stop = False

    async def run(self) -> History:
        clients = (self._client(f"{self._load.name}{at}") for at in range(self._load.at_once))
        await asyncio.gather(*clients)
        return self.history

    async def _client(self, name: str) -> None:
        load = self._load
        for number in self._numbers:
            if self.stop:
                return
            conversation = f"c{self._chance.randrange(load.conversations)}"
            work = asyncio.create_task(self._turn(name, conversation, number))
            if load.cancel_every and self._chance.randrange(load.cancel_every) == 0:
                await self._wait_a_moment()
                work.cancel()
            try:
                await work
            except (StoreUnavailable, ConversationGone) as error:
                self.history.gone += isinstance(error, ConversationGone)
                await asyncio.sleep(PAUSE_AFTER_REFUSAL)
            except asyncio.CancelledError:
                if not work.cancelled():
                    raise
            if load.pause:
                await asyncio.sleep(load.pause * self._chance.random())

    async def _turn(self, client: str, conversation: str, number: int) -> None:
        message = f"{conversation}/{client}/{number}"
        self.history.tried.append(message)
        async with self._store.open(conversation) as held:
            if not held.degraded:
                log = [str(known["content"]) for known in held.messages]
                self.history.looks.append(Look(client, conversation, held.version, log))
            held.messages.append({"role": "user", "content": message})
            await held.save()
            self.history.tried.remove(message)
            self.history.acknowledged.append(message)

    async def _wait_a_moment(self) -> None:
        """Let the turn come to any of its awaits."""
        for _ in range(self._chance.randrange(12)):
            await asyncio.sleep(0)
        if self._chance.random() < 0.5:
            await asyncio.sleep(self._chance.random() / 500)


async def look_around(store: ConversationStore, conversations: int, rounds: int) -> History:
    """Look into all conversations at once, each time in another order, and tell what was seen."""
    history = History()

    async def look(name: str) -> None:
        with suppress(StoreUnavailable):
            found = await store.get(name) or {}
            log = [str(known["content"]) for known in found.get("messages", [])]
            history.looks.append(Look("", name, 0, log))

    names = [f"c{at}" for at in range(conversations)]
    for at in range(rounds):
        random.Random(at).shuffle(names)
        await asyncio.gather(*map(look, names))
    return history


async def settle(store: ConversationStore, seconds: float = 30.0) -> None:
    """Return when nothing waits to be replayed any more."""
    async with asyncio.timeout(seconds):
        while (await store.get_health()).to_replay:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.05)


async def main() -> None:
    """Read a `Load` from the standard input, and write its `History` to the standard output."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    async with RedisConversationStore(**load.options) as store:
        history = await Writer(load, store).run()
        await settle(store)
    sys.stdout.buffer.write(msgspec.json.encode(history))


async def in_process(load: Load) -> History:
    """Run *load* in a process of its own, which ends with this task."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.writer", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, complaints = await process.communicate(msgspec.json.encode(load))
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, complaints.decode(errors="replace")[-2000:]
    return msgspec.json.decode(out, type=History)


if __name__ == "__main__":
    asyncio.run(main())
