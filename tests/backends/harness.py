"""Backends of every kind under one contract, and a look at the bytes beneath them."""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from redis import Redis

from jv_session_mw.backends.base import Backend
from jv_session_mw.backends.fallback import FallbackBackend
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.backends.memory import Memory
from jv_session_mw.backends.memory_backend import MemoryBackend
from jv_session_mw.backends.redis.address import read_url
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.redis.layout import redis_keys
from jv_session_mw.backends.redis.topology import Connect, connect_to, connection_options
from jv_session_mw.changes import Changes, Outcome, Put, Rules, Snapshot
from jv_session_mw.errors import StoreUnavailable
from tests.servers import RedisServer

KEY = "key"
PREFIX = "conv:"
HASH, LOG, TOMBSTONE = redis_keys(PREFIX, KEY)
TTL_MS = 60_000
LAYOUT, VERSION, CREATED, NEXT, DIES, BIRTH, COMMIT = range(7)  # the words of the meta field
TIMEOUT = 10.0
DELIVERY = Delivery(doubt_after=TIMEOUT, give_up_after=TIMEOUT)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Bytes:
    """What really lies in a server, past everything that is tested."""

    def __init__(self, server: RedisServer) -> None:
        self._client = Redis(host="127.0.0.1", port=server.port, protocol=2)

    def do(self, *command: str | bytes | int) -> object:
        answer = self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return cast("object", answer)

    def number(self, *command: str | bytes | int) -> int:
        return cast("int", self.do(*command))

    def keys(self) -> set[bytes]:
        return set(cast("list[bytes]", self.do("KEYS", "*")))

    def everything(self) -> dict[bytes, object]:
        """Return each key with its type and serialized value."""
        return {key: (self.do("TYPE", key), self.do("DUMP", key)) for key in self.keys()}

    def meta(self) -> list[bytes]:
        """Return the words of the meta field of the hash."""
        return cast("bytes", self.do("HGET", HASH, "@")).split(b" ")

    def set_meta(self, at: int, word: bytes) -> None:
        words = self.meta()
        words[at] = word
        self.do("HSET", HASH, "@", b" ".join(words))

    def age(self, key: str, seconds: float) -> None:
        """Let *seconds* go by for one conversation."""
        names = redis_keys(PREFIX, key)
        by = round(seconds * 1000)
        for name in names:
            left = self.number("PTTL", name)
            if left > 0:
                self.do("PEXPIRE", name, left - by)
        if self.do("EXISTS", names[0]):
            for word in (CREATED, DIES):
                if (then := self.meta()[word]) != b"0":
                    self.set_meta(word, b"%d" % (int(then) - by))

    def close(self) -> None:
        self._client.close()


class Subject:
    """One kind of backend: made by the rules that a test asks for, and aged by hand."""

    def __init__(self, kind: str, server: RedisServer | None) -> None:
        self.kind = kind
        self._server = server
        self._clock = Clock()
        self._bytes = Bytes(server) if server else None
        self._made: list[Backend] = []

    def make(
        self,
        *,
        ttl_ms: int = TTL_MS,
        lifetime_ms: int = 0,
        max_messages: int = 0,
        reject: bool = False,
    ) -> Backend:
        rules = Rules(ttl_ms, lifetime_ms, max_messages, reject)
        backend = self._build(rules)
        self._made.append(backend)
        return backend

    def age(self, seconds: float, key: str = KEY) -> None:
        self._clock.now += seconds
        if self._bytes is not None:
            self._bytes.age(key, seconds)

    async def close(self) -> None:
        for backend in self._made:
            await backend.close()
        if self._bytes is not None:
            self._bytes.close()

    def _build(self, rules: Rules) -> Backend:
        if self._server is None:
            return MemoryBackend(Memory(rules, clock=self._clock, wall=self._clock))
        redis = redis_backend(self._server, rules)
        if self.kind == "fallback":
            return FallbackBackend(
                GuardedBackend(redis, consequence="memory serves"), rules, window=50
            )
        return redis


def redis_backend(
    server: RedisServer, rules: Rules | None = None, *, prefix: str = PREFIX
) -> RedisBackend:
    """Return a backend on *server* whose own time-outs are never what a test meets."""
    return RedisBackend(
        connect(server.url), rules or Rules(TTL_MS), prefix=prefix, delivery=DELIVERY
    )


def connect(url: str) -> Connect:
    """Return what makes a line to *url* whose own time-outs are never what a test meets."""
    return connect_to(read_url(url), connection_options(TIMEOUT, TIMEOUT))


def commit_id() -> str:
    return uuid.uuid4().hex


def sets(base_version: int = 0, /, **fields: bytes) -> Changes:
    """Return a commit that sets *fields*, which were not there before."""
    puts = {name: Put(value) for name, value in fields.items()}
    return Changes(commit_id(), base_version, fields=puts)


def puts(base_version: int, /, **fields: tuple[bytes | None, bytes]) -> Changes:
    """Return a commit that makes of each field's first bytes the second."""
    changed = {name: Put(value, base) for name, (base, value) in fields.items()}
    return Changes(commit_id(), base_version, fields=changed)


def appends(base_version: int = 0, /, *messages: bytes) -> Changes:
    return Changes(commit_id(), base_version, appended=list(messages))


async def commit(backend: Backend, changes: Changes, key: str = KEY) -> Outcome:
    return await backend.commit(key, changes, TIMEOUT)


async def load(backend: Backend, *, window: int = 50, key: str = KEY) -> Snapshot:
    return await backend.load(key, window, TIMEOUT)


def values(snapshot: Snapshot) -> list[bytes]:
    """Return the messages without their sequence numbers."""
    return list(snapshot.messages.values)


def same(one: Snapshot, other: Snapshot) -> bool:
    """Say whether both are one but for the TTL, which goes on between two loads."""

    def told(snapshot: Snapshot) -> tuple[object, ...]:
        messages = list(snapshot.messages)
        return (snapshot.version, snapshot.birth, snapshot.total, snapshot.fields, messages)

    return told(one) == told(other)


def let_tasks_begin_at_once() -> None:
    """Make every task of this event loop an eager one; skip the test where there are none yet."""
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    else:
        pytest.skip("eager tasks came with Python 3.12")


async def eventually(holds: Callable[[], bool]) -> None:
    """Return once *holds* does; fail after ten seconds."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not come to hold")


async def until_it_works(call: Callable[[], Awaitable[object]]) -> None:
    """Return once *call* finds a store that is there; fail after thirty seconds."""
    async with asyncio.timeout(30):
        while True:
            try:
                await call()
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


def guarded(url: str, rules: Rules | None = None, delivery: Delivery = DELIVERY) -> GuardedBackend:
    redis = RedisBackend(connect(url), rules or Rules(TTL_MS), prefix=PREFIX, delivery=delivery)
    return GuardedBackend(redis, consequence="memory serves")
