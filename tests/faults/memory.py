"""What the fallback takes while a client makes up one id after another."""

import asyncio
import logging
import os
from pathlib import Path

from msgspec import Struct

from jv_session_mw.backends.fallback import FallbackBackend
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.backends.redis.address import read_url
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.redis.topology import connect_to, connection_options
from jv_session_mw.backends.replayed_calls import ReplayedCalls
from jv_session_mw.changes import Changes, Rules
from jv_session_mw.cli.server import HOST, free_port
from jv_session_mw.telemetry import Telemetry

SOON = 0.3
HOUR_MS = 3_600_000
MIB = 2**20


class Held(Struct):
    """What is held in the end; `grown` is by how many MiB the process has."""

    entries: int
    size: int
    grown: float


async def of_made_up_ids(count: int, *, replay: bool, length: int = 8_000) -> Held:
    """Write to *count* new conversations while nothing listens where Redis should be."""
    rules = Rules(HOUR_MS)
    line = connect_to(read_url(f"redis://{HOST}:{free_port()}"), connection_options(SOON, SOON))
    redis = RedisBackend(line, rules, prefix="conv:", delivery=Delivery(SOON, SOON))
    guard = GuardedBackend(redis, consequence="memory serves")
    replaying = ReplayedCalls(guard, Telemetry("redis"), SOON) if replay else None
    backend = FallbackBackend(guard, rules, window=50, replaying=replaying)
    before = _resident()
    for number in range(count):
        message = b"%0*d" % (length, number)
        await backend.commit(f"id{number}", Changes(f"{number}", 0, appended=[message]), SOON)
    grown = (_resident() - before) / MIB
    journal = 0 if backend.replay is None else backend.replay.journal.size
    size = backend.kept.size + backend.copies.size + journal
    held = Held(backend.condition().in_memory, size, grown)
    await backend.close()
    return held


def in_a_new_process(count: int, replay: bool) -> Held:
    """Do the same where nothing has been freed before that could be taken again."""
    logging.getLogger("jv_session_mw").addHandler(logging.NullHandler())
    return asyncio.run(of_made_up_ids(count, replay=replay))


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
