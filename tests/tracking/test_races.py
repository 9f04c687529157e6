"""Deletes beside writes that are under way elsewhere: deleted stays deleted."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from jv_session_mw.tracking import SessionNotFound, SupabaseSessionTracker
from tests.gateway import Gateway
from tests.postgres import PostgresServer
from tests.projects import TRACKED, Database
from tests.tracking.conftest import supabase

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


@pytest.mark.parametrize("how", DELETES)
async def test_a_first_write_that_is_not_committed_yet_does_not_survive_a_delete(
    gateway: Gateway, postgres: PostgresServer, database: Database, how: str
) -> None:
    other = await asyncpg.connect(postgres.url(TRACKED))
    item = {"n": 0, "owner": ALICE, "id": "s", "touched": True, "age": 1, "first_age": 1}
    tracker = supabase(gateway)
    writing = other.transaction()
    await writing.start()
    await other.execute(
        "select public.chat_sessions_apply($1, $2::jsonb)",
        uuid.uuid4(),
        json.dumps([{**item, "messages": 1}]),
    )
    deleting = asyncio.ensure_future(DELETES[how](tracker))
    await until_it_waits(database, deleting)
    await writing.commit()
    await deleting
    with pytest.raises(SessionNotFound):
        await tracker.get("s", owner=ALICE)
    await tracker.close()
    await other.close()


async def test_activity_does_not_survive_a_sweep_that_is_not_committed_yet(
    gateway: Gateway, postgres: PostgresServer, database: Database
) -> None:
    other = await asyncpg.connect(postgres.url(TRACKED))
    tracker = supabase(gateway)
    tracker.touch("s", owner=ALICE, messages=1)
    await tracker.archive("s", owner=ALICE)
    sweeping = other.transaction()
    await sweeping.start()
    await other.execute("select public.chat_sessions_sweep(null, null, 0, 1000)")
    tracker.touch("s", owner=ALICE, messages=1)
    writing = asyncio.ensure_future(tracker.flush())
    await until_it_waits(database, writing)
    await sweeping.commit()
    await writing
    with pytest.raises(SessionNotFound):
        await tracker.get("s", owner=ALICE)
    await tracker.close()
    await other.close()


async def test_a_move_beside_a_create_under_its_new_key_is_not_lost(
    gateway: Gateway, postgres: PostgresServer, database: Database
) -> None:
    other = await asyncpg.connect(postgres.url(TRACKED))
    tracker = supabase(gateway)
    tracker.touch("s", owner=ALICE, messages=1)
    await tracker.flush()
    creating = other.transaction()
    await creating.start()
    await other.execute("select public.chat_session_save('bob', 't', true, null, 'x', null, null)")
    moving = asyncio.ensure_future(move(tracker))
    await until_it_waits(database, moving)
    await creating.commit()
    await moving
    session = await tracker.get("t", owner="bob")
    assert (session.message_count, session.kind, tracker.stats.dropped) == (1, "x", 0)
    await tracker.close()
    await other.close()


async def test_what_nobody_needs_any_more_is_forgotten(
    gateway: Gateway, database: Database
) -> None:
    tracker = supabase(gateway)
    tracker.moved("t", owner=ALICE, was="visit", was_owner=None)
    tracker.touch("s", owner=ALICE, messages=1)
    await tracker.flush()
    await tracker.delete("s", owner=ALICE)
    for days, left in ((7, 1), (9, 0)):
        await database.execute(
            f"update public.chat_session_batches set applied_at = now() - interval '{days} days';"
            f"update public.chat_session_deletions set deleted_at = now() - interval '{days} days';"
            f"update public.chat_session_moves set moved_at = now() - interval '{days} days'"
        )
        await tracker.sweep()
        for table in ("chat_session_batches", "chat_session_deletions", "chat_session_moves"):
            assert await database.fetchval(f"select count(*) from public.{table}") == left
    await tracker.close()
