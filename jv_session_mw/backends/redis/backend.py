"""Redis as a `Backend`: one script call, one round trip, for each operation."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import cast

from redis.asyncio import Redis

from jv_session_mw.backends.redis import scripts
from jv_session_mw.backends.redis.batching import Batcher
from jv_session_mw.backends.redis.layout import (
    LAYOUT,
    edges,
    key_of,
    read_messages,
    read_snapshot,
    redis_keys,
    scan_pattern,
)
from jv_session_mw.backends.redis.wire import Argument, Reply
from jv_session_mw.changes import (
    DELETED,
    GONE,
    MISSING,
    Changes,
    Condition,
    Outcome,
    Rules,
    Snapshot,
    Stretch,
)

SCAN_COUNT = 500
EDGES = 2  # messages, which are sent in any case
FEW_BYTES = DIGEST_DIGITS = 16


class RedisBackend:
    """Keeps conversations in Redis 6.2 or newer, or Valkey, without modules.

    *connect* makes a client; it is called again when the event loop has changed, since a
    connection belongs to the loop that opened it. A connection whose replies take longer than
    *patience* seconds is given up.
    """

    def __init__(
        self, connect: Callable[[], Redis], rules: Rules, *, prefix: str, patience: float
    ) -> None:
        self._connect = connect
        self._prefix = prefix
        self._patience = patience
        self._ttl_ms = rules.ttl_ms
        self._rules = (
            f"{rules.ttl_ms} {rules.lifetime_ms} {rules.max_messages} {int(rules.reject)} {LAYOUT}"
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Redis | None = None
        self._batcher: Batcher | None = None

    async def open(self, timeout: float) -> None:
        loads = [self._send(timeout, "SCRIPT", "LOAD", source) for source in scripts.SOURCES]
        await asyncio.gather(*loads)

    async def close(self) -> None:
        client, batcher, loop = self._client, self._batcher, self._loop
        self._client = self._batcher = self._loop = None
        if loop is not asyncio.get_running_loop():
            return
        if batcher is not None:
            await batcher.close()
        if client is not None:
            await client.aclose()

    async def ping(self, timeout: float) -> None:
        await self._send(timeout, "PING")

    def condition(self) -> Condition:
        return Condition()

    async def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        had, head = known.messages, f"{-window}"
        if EDGES < len(had.values) == min(window, known.total):
            head = f"{-window} {known.version} {known.birth} {known.total}"
        started = time.monotonic()
        hash, log, tombstone = redis_keys(self._prefix, key)
        reply = await self._send(timeout, "EVALSHA", scripts.LOAD, 3, hash, log, tombstone, head)
        answer = cast("list[Reply]", reply)
        status = answer[0]
        if status == b"missing":
            return MISSING
        if status == b"deleted":
            return DELETED
        ttl_ms, total = cast("int", answer[1]), cast("int", answer[2])
        fields, elements = cast("list[bytes]", answer[3]), cast("list[bytes]", answer[4])
        if status == b"found":
            return read_snapshot(ttl_ms, total, fields, read_messages(elements))
        if elements == edges(had):
            return read_snapshot(ttl_ms, total, fields, had)
        # Somebody has written into the log by hand.
        return await self.load(key, window, timeout + started - time.monotonic())

    async def older(self, key: str, before: int, count: int, timeout: float) -> Stretch:
        _, log, _ = redis_keys(self._prefix, key)
        reply = await self._send(timeout, "EVALSHA", scripts.OLDER, 1, log, before, count)
        return read_messages(cast("list[bytes]", reply))

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        names = redis_keys(self._prefix, key)
        head = f"{self._rules} {_head(changes)}"
        reply = await self._send(
            timeout, "EVALSHA", scripts.COMMIT, 3, *names, head, *_values(changes)
        )
        return _outcome(cast("list[Reply]", reply))

    async def touch(self, key: str, timeout: float) -> int:
        names = redis_keys(self._prefix, key)[:2]
        reply = await self._send(timeout, "EVALSHA", scripts.TOUCH, 2, *names, self._ttl_ms, LAYOUT)
        return cast("int", reply)

    async def delete(self, key: str, timeout: float) -> bool:
        names = redis_keys(self._prefix, key)
        reply = await self._send(timeout, "EVALSHA", scripts.DELETE, 3, *names, self._ttl_ms)
        return reply == 1

    async def has(self, key: str, timeout: float) -> bool:
        return await self._send(timeout, "EXISTS", redis_keys(self._prefix, key)[0]) == 1

    async def keys(self, timeout: float) -> list[str]:
        pattern = scan_pattern(self._prefix)
        found: set[bytes] = set()
        cursor: Argument = 0
        while True:
            reply = await self._send(timeout, "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            answer = cast("list[Reply]", reply)
            cursor = cast("bytes", answer[0])
            found.update(cast("list[bytes]", answer[1]))
            if int(cursor) == 0:
                keys = (key_of(self._prefix, name) for name in found)
                return [key for key in keys if key is not None]

    def _send(self, timeout: float, *command: Argument) -> asyncio.Future[Reply]:
        return self._current().send(command, timeout)

    def _current(self) -> Batcher:
        loop = asyncio.get_running_loop()
        if self._batcher is None or self._loop is not loop:
            self._loop = loop
            self._client = self._connect()
            self._batcher = Batcher(self._client, self._patience)
        return self._batcher


def _head(changes: Changes) -> str:
    """Return the words of the head that `commit.lua` reads, after those of the rules."""
    return (
        f"{changes.commit_id} {changes.base_version} {changes.birth or '-'} {changes.revive:d} "
        f"{changes.cleared} {len(changes.fields)} {len(changes.removed)} {len(changes.appended)} "
        f"{len(changes.replaced)} {len(changes.dropped)}"
    )


def _values(changes: Changes) -> list[Argument]:
    """Flatten *changes* into the groups that the head counts."""
    flat: list[Argument] = []
    for name, put in changes.fields.items():
        flat += (name, put.value, _base(put.base))
    for name, base in changes.removed.items():
        flat += (name, _base(base))
    flat += changes.appended
    for number, put in changes.replaced.items():
        flat += (number, put.value, _base(put.base))
    flat += changes.dropped
    return flat


def _base(base: bytes | None) -> str | bytes:
    """Return what tells the script which bytes a change rests on: themselves, if they are few."""
    if base is None:
        return ""
    if len(base) <= FEW_BYTES:
        return b"=" + base
    # Tells one value from another, for which SHA-1 is what Lua scripts have at hand.
    return hashlib.sha1(base, usedforsecurity=False).hexdigest()[:DIGEST_DIGITS]


def _outcome(reply: list[Reply]) -> Outcome:
    if reply[0] == b"gone":
        return GONE
    version, created_ms, ttl_ms, total, first_seq = cast("list[int]", reply[1:6])
    birth, *conflicts = cast("list[bytes]", reply[6:])
    return Outcome(
        status="committed" if reply[0] == b"committed" else "conflict",
        version=version,
        birth=birth.decode(),
        created_ms=created_ms,
        ttl_ms=ttl_ms,
        total=total,
        first_seq=first_seq,
        conflicts=[name.decode() for name in conflicts],
    )
