"""Who may do what: the service role all, a user may read the own rows, and others nothing."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest
from postgrest import APIError

from jv_session_mw.tracking import SupabaseSessionTracker
from jv_session_mw.tracking.migrations import migrations
from tests.gateway import Gateway, key_of
from tests.postgres import KINDS, PostgresServer
from tests.projects import TABLES, TRACKED, Database, Databases
from tests.tracking.conftest import supabase
from tests.tracking.projects import client_of

DENIED = {"42501", "PGRST202"}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "chat_sessions_apply": {
        "p_batch": "7f6a0a5e-0000-4000-8000-000000000000",
        "p_items": [{"n": 0, "owner": "alice", "id": "s", "touched": True, "messages": 9}],
    },
    "chat_session_save": {
        "p_owner": "alice", "p_id": "s", "p_create": True, "p_title": "mine", "p_kind": None,
        "p_step": None, "p_refs": None,
    },
    "chat_session_transition": {
        "p_owner": "alice", "p_id": "s", "p_to": "completed", "p_from": ["active"],
    },
    "chat_session_record": {
        "p_owner": "alice", "p_id": "s", "p_event": "e", "p_counters": {"n": 1}, "p_step": None,
        "p_refs": None,
    },
    "chat_session_get": {"p_owner": "alice", "p_id": "s"},
    "chat_session_answer": {"p_owner": "alice", "p_id": "s", "p_done": True},
    "chat_session_snapshot": {"p_owner": "alice", "p_id": "s"},
    "chat_sessions_page": {
        "p_owner": "alice", "p_status": ["active"], "p_kind": None, "p_refs": None,
        "p_search": None, "p_at": None, "p_before": None, "p_limit": 10,
    },
    "chat_session_delete": {"p_owner": "alice", "p_id": "s"},
    "chat_sessions_delete_owner": {"p_owner": "alice"},
    "chat_sessions_sweep": {
        "p_pause_after": 0, "p_archive_after": 0, "p_delete_after": 0, "p_limit": 10,
    },
    "chat_session_lock": {},
    "chat_session_move": {
        "p_was_owner": "alice", "p_was_id": "s", "p_owner": "mallory", "p_id": "s",
    },
    "chat_session_key": {"p_owner": "alice", "p_id": "s"},
    "chat_session_note_deletion": {"p_owner": "alice", "p_id": "s"},
    "chat_sessions_write": {"p_items": []},
    "chat_session_prune": {},
    "chat_session_digest": {"p_owner": "alice", "p_id": "s"},
    "chat_session_sum": {"p_held": {}, "p_added": {}},
    "chat_session_refs": {"p_held": {}, "p_set": {}},
}  # fmt: skip
ATTACKERS = {
    "anon": key_of("anon"),
    "anon who says to be alice": key_of("anon", sub="alice"),
    "mallory": key_of("authenticated", sub="mallory"),
    "alice": key_of("authenticated", sub="alice"),
}


@pytest.fixture
async def tracker(gateway: Gateway) -> AsyncGenerator[SupabaseSessionTracker]:
    """A tracker with a session of alice, of bob, and one of nobody."""
    tracker = supabase(gateway)
    for owner in ("alice", "bob", None):
        tracker.touch("s", owner=owner, messages=1, title=f"of {owner}")
    await tracker.flush()
    yield tracker
    await tracker.close()


@pytest.mark.usefixtures("tracker")
@pytest.mark.parametrize("attacker", ATTACKERS)
@pytest.mark.parametrize("function", FUNCTIONS)
async def test_no_function_is_executable_by_a_client(
    gateway: Gateway, database: Database, attacker: str, function: str
) -> None:
    before = await everything(database)
    async with client_of(gateway, ATTACKERS[attacker]) as client:
        with pytest.raises(APIError) as caught:
            await client.rpc(function, FUNCTIONS[function]).execute()
    assert caught.value.code == "42501"
    assert await everything(database) == before


async def test_every_function_is_attacked_and_none_runs_as_its_maker(database: Database) -> None:
    rows = await database.fetch(
        "select proname, prosecdef, proconfig, proacl::text from pg_proc"
        " where pronamespace = 'public'::regnamespace"
    )
    assert {row["proname"] for row in rows} == set(FUNCTIONS)
    for row in rows:
        assert not row["prosecdef"], row["proname"]
        assert row["proconfig"] == ['search_path=""'], row["proname"]
        assert row["proacl"] == "{postgres=X/postgres,service_role=X/postgres}", row["proname"]


@pytest.mark.usefixtures("tracker")
@pytest.mark.parametrize("attacker", ATTACKERS)
@pytest.mark.parametrize("table", TABLES)
async def test_no_table_is_writable_by_a_client(
    gateway: Gateway, database: Database, attacker: str, table: str
) -> None:
    before = await everything(database)
    async with client_of(gateway, ATTACKERS[attacker]) as client:
        for attempt in (
            client.table(table).insert({"owner": "alice", "id": "new"}),
            client.table(table).update({"owner": "mallory"}).eq("owner", "alice"),
            client.table(table).delete().eq("owner", "alice"),
        ):
            with pytest.raises(APIError):
                await attempt.execute()
    assert await everything(database) == before


@pytest.mark.usefixtures("tracker")
@pytest.mark.parametrize(
    ("attacker", "sees"),
    [("anon", None), ("anon who says to be alice", None), ("mallory", []), ("alice", ["of alice"])],
)
async def test_a_user_reads_the_own_sessions_alone(
    gateway: Gateway, attacker: str, sees: list[str] | None
) -> None:
    async with client_of(gateway, ATTACKERS[attacker]) as client:
        if sees is None:
            with pytest.raises(APIError) as caught:
                await client.table("chat_sessions").select("*").execute()
            assert caught.value.code == "42501"
            return
        rows: Any = (await client.table("chat_sessions").select("*").execute()).data
        assert [row["title"] for row in rows] == sees
        for table in TABLES[1:]:
            with pytest.raises(APIError) as caught:
                await client.table(table).select("*").execute()
            assert caught.value.code == "42501"


@pytest.mark.usefixtures("tracker")
@pytest.mark.parametrize("claims", [{"sub": ""}, {}])
async def test_a_token_that_names_nobody_sees_nothing(
    gateway: Gateway, claims: dict[str, Any]
) -> None:
    async with client_of(gateway, key_of("authenticated", **claims)) as client:
        assert (await client.table("chat_sessions").select("*").execute()).data == []


@pytest.mark.parametrize("kind", KINDS)
async def test_the_migrations_can_be_applied_again(databases: Databases, kind: str) -> None:
    server = await databases.get(kind)
    connection = await asyncpg.connect(server.url(TRACKED))
    await connection.execute("insert into public.chat_sessions (owner, id) values ('alice', 's')")
    for name, sql in migrations():
        assert name.split("_")[0].isdigit()
        async with connection.transaction():
            await connection.execute(sql)
    assert await connection.fetchval("select count(*) from public.chat_sessions") == 1
    await connection.close()


async def test_a_function_of_the_project_keeps_its_rights(database: Database) -> None:
    await database.execute(
        "create function public.chat_session_stars() returns int language sql as 'select 1';"
        "grant execute on function public.chat_session_stars() to authenticated"
    )
    try:
        for _, sql in migrations():
            await database.execute(sql)
        assert await database.fetchval(
            "select has_function_privilege("
            "'authenticated', 'public.chat_session_stars()', 'execute')"
        )
    finally:
        await database.execute("drop function public.chat_session_stars()")


async def test_the_constraints_hold_against_any_writer(database: Database) -> None:
    for wrong in (
        "insert into public.chat_sessions (owner, id, status) values ('a', 'x', 'closed_won')",
        "insert into public.chat_sessions (owner, id, status) values ('a', 'x', 'archived')",
        "insert into public.chat_sessions (owner, id, ended_at) values ('a', 'x', now())",
        "insert into public.chat_sessions (owner, id, message_count) values ('a', 'x', -1)",
        "insert into public.chat_sessions (owner, id) values ('a', '')",
        "insert into public.chat_sessions (owner, id) values (null, 'x')",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await database.execute(wrong)


async def everything(database: Database) -> list[list[asyncpg.Record]]:
    return [await database.fetch(f"select * from public.{table} order by 1") for table in TABLES]


async def test_the_service_role_needs_no_more_than_is_granted(postgres: PostgresServer) -> None:
    """Without the default privileges of a project, the explicit grants are enough."""
    connection = await asyncpg.connect(postgres.url(TRACKED))
    granted = await connection.fetch(
        "select table_name, string_agg(privilege_type, ',' order by privilege_type) as may"
        " from information_schema.role_table_grants"
        " where grantee = 'authenticated' and table_schema = 'public' group by 1"
    )
    assert [tuple(row) for row in granted] == [("chat_sessions", "SELECT")]
    nothing = await connection.fetch(
        "select from information_schema.role_table_grants"
        " where grantee in ('anon', 'PUBLIC') and table_schema = 'public'"
    )
    assert nothing == []
    await connection.close()
