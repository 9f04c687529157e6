"""Deletes beside writes that are under way elsewhere: deleted stays deleted."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from jv_session_mw.tracking import SessionNotFound, SupabaseSessionTracker
from tests.postgres import PostgresServer
from tests.projects import TRACKED, Database

ALICE = "alice"

Delete = Callable[[SupabaseSessionTracker], Awaitable[object]]


async def end(tracker: SupabaseSessionTracker) -> None:
    """Delete as the middleware does, behind the request."""
    tracker.ended("s", owner=ALICE, status="deleted")
    await tracker.flush()


async def move(tracker: SupabaseSessionTracker) -> None:
    tracker.moved("t", owner="bob", was="s", was_owner=ALICE)
    await tracker.flush()


DELETES: dict[str, Delete] = {
    "delete": lambda tracker: tracker.delete("s", owner=ALICE),
    "delete_owner": lambda tracker: tracker.delete_owner(ALICE),
    "ended": end,
    "moved": move,
}


async def until_it_waits(database: Database, task: asyncio.Future[Any]) -> None:
    """Return when *task* waits for a lock in the database, or has not had to."""
    async with asyncio.timeout(20):
        while not (await waits(database) or task.done()):  # noqa: ASYNC110  # in the database
            await asyncio.sleep(0.01)


async def waits(database: Database) -> bool:
    found: bool = await database.fetchval("select exists (select from pg_locks where not granted)")
    return found


@pytest.fixture
async def elsewhere(postgres: PostgresServer) -> AsyncGenerator[Database]:
    """The connection of another process, which takes its time to commit."""
    connection = await asyncpg.connect(postgres.url(TRACKED))
    yield connection
    await connection.close()


@pytest.mark.parametrize("how", DELETES)
async def test_a_first_write_that_is_not_committed_yet_does_not_survive_a_delete(
    database: Database, elsewhere: Database, supabase_tracker: SupabaseSessionTracker, how: str
) -> None:
    item = {"n": 0, "owner": ALICE, "id": "s", "touched": True, "age": 1, "first_age": 1}
    writing = elsewhere.transaction()
    await writing.start()
    await elsewhere.execute(
        "select public.chat_sessions_apply($1, $2::jsonb)",
        uuid.uuid4(),
        json.dumps([{**item, "messages": 1}]),
    )
    deleting = asyncio.ensure_future(DELETES[how](supabase_tracker))
    await until_it_waits(database, deleting)
    await writing.commit()
    await deleting
    with pytest.raises(SessionNotFound):
        await supabase_tracker.get("s", owner=ALICE)


async def test_activity_does_not_survive_a_sweep_that_is_not_committed_yet(
    database: Database, elsewhere: Database, supabase_tracker: SupabaseSessionTracker
) -> None:
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    await supabase_tracker.archive("s", owner=ALICE)
    sweeping = elsewhere.transaction()
    await sweeping.start()
    await elsewhere.execute("select public.chat_sessions_sweep(null, null, 0, 1000)")
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    writing = asyncio.ensure_future(supabase_tracker.flush())
    await until_it_waits(database, writing)
    await sweeping.commit()
    await writing
    with pytest.raises(SessionNotFound):
        await supabase_tracker.get("s", owner=ALICE)


async def test_a_move_beside_a_create_under_its_new_key_is_not_lost(
    database: Database, elsewhere: Database, supabase_tracker: SupabaseSessionTracker
) -> None:
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    await supabase_tracker.flush()
    creating = elsewhere.transaction()
    await creating.start()
    await elsewhere.execute(
        "select public.chat_session_save('bob', 't', true, null, 'x', null, null)"
    )
    moving = asyncio.ensure_future(move(supabase_tracker))
    await until_it_waits(database, moving)
    await creating.commit()
    await moving
    session = await supabase_tracker.get("t", owner="bob")
    dropped = supabase_tracker.stats.dropped
    assert (session.message_count, session.kind, dropped) == (1, "x", 0)
