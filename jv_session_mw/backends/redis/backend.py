"""Redis as a `Backend`: what is done to a conversation is one script call, and one round trip."""

import asyncio
import itertools
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import cast

from jv_session_mw.backends.redis import loading, scripts
from jv_session_mw.backends.redis.answers import too_few
from jv_session_mw.backends.redis.batching import Batcher, Delivery
from jv_session_mw.backends.redis.committing import head_of, outcome_of, values_of
from jv_session_mw.backends.redis.layout import (
    LAYOUT,
    key_of,
    read_messages,
    redis_keys,
    scan_pattern,
    script_call,
    turn_key,
)
from jv_session_mw.backends.redis.line import Line
from jv_session_mw.backends.redis.waiting import Argument, Command, Reply
from jv_session_mw.changes import MISSING, Changes, Outcome, Rules, Snapshot, new_commit_id
from jv_session_mw.condition import Condition
from jv_session_mw.lease import Claim, Lease
from jv_session_mw.stretch import Stretch

SCAN_COUNT = 500


class RedisBackend:
    """Keeps conversations in Redis 6.2 or newer, or Valkey, without modules.

    *connect* makes a line. It is called again when the event loop has changed, since a connection
    belongs to the loop that opened it.
    """

    def __init__(
        self, connect: Callable[[Delivery], Line], rules: Rules, *, prefix: str, delivery: Delivery
    ) -> None:
        self._connect = connect
        self._tags = itertools.count(1)
        self._prefix = prefix
        self._delivery = delivery
        self._ttl_ms = rules.ttl_ms
        self._rules = (
            f"{rules.ttl_ms} {rules.lifetime_ms} {rules.max_messages} {int(rules.reject)} {LAYOUT}"
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: Line | None = None

    async def open(self, timeout: float) -> None:
        commands: list[Command] = [("SCRIPT", "LOAD", source) for source in scripts.SOURCES]
        await self._everywhere(commands, timeout)

    async def close(self) -> None:
        line, loop = self._line, self._loop
        self._line = self._loop = None
        if line is not None and loop is get_running_loop():
            await line.close()

    async def ping(self, timeout: float) -> None:
        """Return when every primary answers, and has the replicas that a commit would wait for."""
        replicas = self._delivery.replicas
        if not replicas:
            await self._everywhere([("PING",)], timeout)
            return
        milliseconds = max(1, round(timeout * 500))
        for reply in await self._everywhere([("WAIT", replicas, milliseconds)], timeout):
            if not isinstance(reply, int) or reply < replicas:
                raise too_few(reply, replicas)

    def condition(self) -> Condition:
        return Condition()

    async def load(
        self, key: str, window: int, timeout: float, known: Snapshot = MISSING
    ) -> Snapshot:
        started = monotonic()
        names, head = redis_keys(self._prefix, key), loading.head_of(window, known)
        answer = await self._run(timeout, scripts.LOAD, names, head)
        snapshot = loading.snapshot_of(answer, known)
        if snapshot is not None:
            return snapshot
        # The log is another one: changed by hand, or by others after a failover lost what we saw.
        return await self.load(key, window, timeout + started - monotonic())

    async def older(self, key: str, before: int, count: int, timeout: float) -> Stretch:
        names = redis_keys(self._prefix, key)
        answer = await self._run(timeout, scripts.OLDER, names, f"{before} {count}")
        return read_messages(cast("list[list[bytes]]", answer)[1])

    async def commit(self, key: str, changes: Changes, timeout: float) -> Outcome:
        names: Sequence[str] = redis_keys(self._prefix, key)
        if changes.fence:
            names = (*names, turn_key(self._prefix, key))
        head, values = f"{self._rules} {head_of(changes)}", values_of(changes)
        return outcome_of(await self._run(timeout, scripts.COMMIT, names, head, values))

    async def touch(self, key: str, timeout: float) -> int:
        names = redis_keys(self._prefix, key)
        answer = await self._run(timeout, scripts.TOUCH, names, f"{self._ttl_ms} {LAYOUT}")
        return cast("list[int]", answer)[1]

    async def delete(self, key: str, timeout: float) -> bool:
        return await self._delete(key, f"0 - {new_commit_id()}", timeout)

    async def retire(self, key: str, seen: Snapshot, timeout: float) -> bool:
        return await self._delete(key, f"{seen.version} {seen.birth} {new_commit_id()}", timeout)

    async def lease(self, key: str, claim: Claim, timeout: float) -> Lease:
        head = f"{self._ttl_ms} {claim.holder} {claim.fence} {claim.ms}"
        names = (turn_key(self._prefix, key),)
        _, is_granted, fence = cast(
            "tuple[bytes, int, int]", await self._run(timeout, scripts.LEASE, names, head)
        )
        return Lease(bool(is_granted), fence)

    async def has(self, key: str, timeout: float) -> bool:
        # With one key only: a slot that is moving to another node answers for one, not for several.
        tag, name = str(next(self._tags)), redis_keys(self._prefix, key)[0]
        answer = await self._current().send(
            ("EVALSHA", scripts.HAS, 1, name, tag), timeout, tag.encode()
        )
        return cast("list[int]", answer)[1] == 1

    async def _delete(self, key: str, seen: str, timeout: float) -> bool:
        names = redis_keys(self._prefix, key)
        answer = await self._run(timeout, scripts.DELETE, names, f"{self._ttl_ms} {seen}")
        return cast("list[bytes]", answer)[1] == b"existed"

    async def keys(self, timeout: float) -> list[str]:
        primaries = await self._current().primaries(timeout)
        found = await asyncio.gather(*(self._scan(primary, timeout) for primary in primaries))
        keys = (key_of(self._prefix, name) for name in set[bytes]().union(*found))
        return [key for key in keys if key is not None]

    async def _scan(self, primary: Batcher, timeout: float) -> set[bytes]:
        pattern = scan_pattern(self._prefix)
        found: set[bytes] = set()
        cursor: Argument = 0
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            answer = cast("Sequence[Reply]", await primary.send(command, timeout))
            cursor = cast("bytes | int", answer[0])
            found.update(cast("Sequence[bytes]", answer[1]))
            if int(cursor) == 0:
                return found

    async def _everywhere(self, commands: list[Command], timeout: float) -> list[Reply]:
        primaries = await self._current().primaries(timeout)
        replies = [primary.send(command, timeout) for primary in primaries for command in commands]
        return await asyncio.gather(*replies)

    def _run(
        self,
        timeout: float,
        script: str,
        names: Sequence[str],
        head: str,
        values: Sequence[Argument] = (),
    ) -> Awaitable[Reply]:
        """Run a script, whose answer must begin with the tag that its head begins with.

        No other command has the same tag. A connection that is one reply ahead or behind would give
        every request somebody else's conversation: the tag shows it.
        """
        tag = str(next(self._tags))
        command = script_call(script, names, f"{tag} {head}", values)
        return self._current().send(command, timeout, tag.encode())

    def _current(self) -> Line:
        line, loop = self._line, get_running_loop()
        if line is None or self._loop is not loop:
            self._loop = loop
            line = self._line = self._connect(self._delivery)
        return line
