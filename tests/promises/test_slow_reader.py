"""Promise: a read never writes, so a slow one never erases what a fast one wrote meanwhile."""

import asyncio

import pytest

from jv_session_mw import ConversationStore
from tests.promises.apps import changed
from tests.promises.clients import AsyncVisitor
from tests.promises.conftest import GetServer, Visit
from tests.promises.database import Database
from tests.promises.recording import Recorder
from tests.promises.serving import KINDS, serving
from tests.promises.slow_app import Pause, slow_app


async def test_a_slow_reader_erases_nothing_and_writes_nothing(
    store: ConversationStore, recorder: Recorder, database: Database
) -> None:
    pause = Pause()
    async with serving(slow_app(store, {"read": pause})) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        slow = asyncio.create_task(visitor.twin().ask("POST", "/slow?at=read"))
        await pause.arrived.wait()
        await visitor.twin().turn("endpoint", "fast")
        database.forget()
        recorder.forget()
        pause.go.set()
        assert (await slow).json == changed(["before"])["state"]
        assert database.writes() == {}
        assert recorder.ours() == []
        assert await visitor.read() == changed(["before", "fast"])


def test_the_counter_of_writes_sees_a_write_inside_a_script(database: Database) -> None:
    database.forget()
    database.do("EVAL", "redis.call('HSET', KEYS[1], 'a', 'b')", 1, "key")
    assert database.writes() == {"hset": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_reads_write_nothing_and_leave_every_byte(
    shared_servers: GetServer, visit: Visit, database: Database, kind: str
) -> None:
    visitor = visit(shared_servers(kind))
    visitor.turn("endpoint", "before")
    stored = database.dump()
    database.forget()
    for _ in range(100):
        assert visitor.read() == changed(["before"])
    assert database.writes() == {}
    assert database.dump() == stored


def test_a_read_late_in_the_ttl_refreshes_it_and_writes_nothing_else(
    shared_servers: GetServer, visit: Visit, database: Database
) -> None:
    visitor = visit(shared_servers("uvicorn-h11"))
    visitor.turn("endpoint", "before")
    keys = database.names()
    stored = database.dump()
    for key in keys:
        database.do("PEXPIRE", key, 60_000)
    database.forget()
    visitor.read()
    visitor.read()
    assert database.writes() == {"pexpire": len(keys)}
    remaining = [database.do("PTTL", key) for key in keys]
    assert all(isinstance(ttl_ms, int) and ttl_ms > 3_500_000 for ttl_ms in remaining)
    assert database.dump() == stored
