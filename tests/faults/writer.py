"""A process under load: it writes numbered messages, and tells what became of each."""

import asyncio
import json
import random
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jv_session_mw import ConversationStore, RedisConversationStore
from jv_session_mw.errors import ConversationGone, StoreUnavailable
from tests.faults.history import History

ROOT = Path(__file__).parents[2]


class Load(msgspec.Struct):
    """What one writer does: *turns* turns over *conversations*, *at_once* of them at a time.

    One in *cancel_every* turns is cancelled at some await; 0 is none. *options* are the store's.
    """

    name: str
    seed: int
    turns: int
    conversations: int
    at_once: int = 16
    cancel_every: int = 0
    pause: float = 0.0
    options: dict[str, Any] = {}


async def write(load: Load, store: ConversationStore) -> History:
    """Do *load* over *store*, and return what was acknowledged.

    A turn that has begun in memory may go on in Redis and the other way round, so its version is
    noted only where both the last look and this one were at Redis.
    """
    chance = random.Random(load.seed)
    history = History()
    numbers = iter(range(load.turns))

    async def turn(number: int) -> None:
        name = f"c{chance.randrange(load.conversations)}"
        message = f"{name}/{load.name}/{number}"
        history.unknown.append(message)
        async with store.open(name) as conversation:
            log = [str(known["content"]) for known in conversation.messages]
            if not conversation.degraded:
                history.seen.append((name, conversation.version, log))
            conversation.messages.append({"role": "user", "content": message})
            await conversation.save()
        history.unknown.remove(message)
        history.acknowledged.append(message)

    async def client() -> None:
        for number in numbers:
            work = asyncio.create_task(turn(number))
            if load.cancel_every and chance.randrange(load.cancel_every) == 0:
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                if chance.random() < 0.5:
                    await asyncio.sleep(chance.random() / 500)
                work.cancel()
            with suppress(StoreUnavailable, ConversationGone, asyncio.CancelledError):
                await work
            if load.pause:
                await asyncio.sleep(load.pause * chance.random())

    await asyncio.gather(*(client() for _ in range(load.at_once)))
    return history


async def main() -> None:
    """Read a `Load` from the standard input, and write its `History` to the standard output."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    async with RedisConversationStore(**load.options) as store:
        history = await write(load, store)
        await settle(store)
    sys.stdout.buffer.write(msgspec.json.encode(history))


async def settle(store: ConversationStore, seconds: float = 20.0) -> None:
    """Return when nothing waits to be replayed any more."""
    async with asyncio.timeout(seconds):
        while (await store.get_health()).to_replay:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.05)


async def in_process(load: Load) -> History:
    """Run *load* in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.writer",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, complaints = await process.communicate(msgspec.json.encode(load))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode(errors="replace")
    return msgspec.json.decode(out, type=History)


def stored_in(store_dump: Mapping[str, list[bytes]]) -> dict[str, list[str]]:
    """Return the contents of the messages of each conversation from the elements of its list."""
    return {
        name: [json.loads(element.partition(b";")[2])["content"] for element in log]
        for name, log in store_dump.items()
    }


if __name__ == "__main__":
    asyncio.run(main())
