"""A listing reads a page and no more, however many sessions there are."""

import json
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from jv_session_mw.tracking import ENDED, LIVE
from tests.postgres import KINDS
from tests.projects import TRACKED, Database, Databases

A_MILLION = 1_000_000
PAGE = 50

# Two in five are alice's, and one in four of hers is live; those of others lie between.
FILL = f"""
insert into public.chat_sessions (owner, id, title, status, last_activity_at, ended_at)
select case when n % 10 < 4 then 'alice' else 'owner' || n % 5000 end, 's' || n, 'Flight ' || n,
    case when n % 4 = 0 then 'active' else 'archived' end, now() - n * interval '1 second',
    case when n % 4 = 0 then null else now() end
from generate_series(1, {A_MILLION}) n;
analyze public.chat_sessions;
"""
PAGE_OF_ALICE = (
    "select public.chat_sessions_page('alice', $1, null, null, $2, $3, $4, $5)::text as page"
)
READ = (
    "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int"
    " from pg_stat_xact_user_tables where schemaname = 'public'"
)
LISTINGS: dict[str, tuple[frozenset[str], str | None]] = {
    "chat_sessions_live_by_activity": (LIVE, None),
    "chat_sessions_by_activity": (LIVE | ENDED, None),
}
FILTERED: list[tuple[frozenset[str], str | None]] = [
    (LIVE, "flight"),
    (ENDED, None),
    (frozenset(["active"]), None),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_of_a_million_is_read_from_an_index_and_not_sorted(
    databases: Databases, kind: str
) -> None:
    server = await databases.get(kind)
    connection = await asyncpg.connect(server.url(TRACKED))
    await connection.execute(FILL, timeout=280)
    await connection.execute("set role service_role")
    for status, search in [*LISTINGS.values(), *FILTERED]:
        at: tuple[Any, str | None] = (None, None)
        for _ in range(3):
            page, read = await page_of(connection, status, search, at)
            assert len(page) == PAGE
            assert read <= 2 * PAGE, f"{read} rows were read for {sorted(status)}, {search}"
            at = page[-1]["last_activity_at"], page[-1]["id"]
    if kind == "postgres-system":  # the other comes without the extension that shows nested plans
        await connection.execute("reset role")
        for index, (status, search) in LISTINGS.items():
            plan = await plan_of(connection, status, search)
            assert f"Index Scan using {index}" in plan
            assert "Sort" not in plan
            assert "Seq Scan" not in plan
    await connection.execute("truncate public.chat_sessions cascade")
    await connection.close()


async def page_of(
    connection: Database,
    status: frozenset[str],
    search: str | None,
    at: tuple[str | None, str | None],
) -> tuple[list[dict[str, Any]], int]:
    """Return a page, and how many rows were read for it, by whatever way."""
    place = datetime.fromisoformat(at[0]) if at[0] else None
    async with connection.transaction():
        before: int = await connection.fetchval(READ)
        found = await connection.fetchval(PAGE_OF_ALICE, sorted(status), search, place, at[1], PAGE)
        read: int = await connection.fetchval(READ)
    return json.loads(found), read - before


async def plan_of(connection: Database, status: frozenset[str], search: str | None) -> str:
    """Return the plans of the statements inside the function, as they were run."""
    plans: list[str] = []
    connection.add_log_listener(lambda _, message: plans.append(message.message))
    await connection.execute(
        "load 'auto_explain'; set auto_explain.log_min_duration = 0;"
        " set auto_explain.log_nested_statements = on; set client_min_messages = log"
    )
    await page_of(connection, status, search, (None, None))
    await connection.execute("set auto_explain.log_min_duration = -1")
    return "\n".join(plan for plan in plans if "order by" in plan)
