"""Between us and the database everything may fail: what is counted stays exact, and is typed."""

import asyncio
import gc
import random
from collections.abc import AsyncGenerator
from datetime import UTC
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from jv_session_mw.tracking import (
    SessionNotFound,
    SupabaseSessionTracker,
    TrackerUnavailable,
)
from tests.faults.proxy import Fault, Proxy
from tests.gateway import Gateway, key_of
from tests.postgres import PostgresServer
from tests.projects import TRACKED, Database, Databases, set_up
from tests.promises.serving import eventually
from tests.tracking.conftest import supabase
from tests.tracking.projects import client_of, counts

ALICE = "alice"
FAULTS: tuple[Fault, ...] = ("no reply", "cut reply", "reset", "cut request", "delay", "trickle")


async def flushed(tracker: SupabaseSessionTracker) -> None:
    """Flush until nothing waits, whatever is in between."""
    async with asyncio.timeout(60):
        while tracker.stats.pending:
            try:
                await tracker.flush()
            except TrackerUnavailable:
                continue


@pytest.mark.parametrize("seed", [1, 2])
async def test_thirty_thousand_increments_are_exact_while_replies_are_lost(
    gateway: Gateway, database: Database, seed: int
) -> None:
    chance = random.Random(seed)

    def choose() -> Fault | None:
        return chance.choice(FAULTS) if chance.random() < 0.4 else None

    async with Proxy(gateway.port, choose, seed) as proxy:
        tracker = SupabaseSessionTracker(
            url=f"http://127.0.0.1:{proxy.port}",
            key=key_of("service_role"),
            flush_interval=3600,
            max_batch=100,
            timeout=20,
        )
        expected: dict[str, int] = {}
        for step in range(30_000):
            id = f"s{chance.randrange(400)}"
            tracker.touch(id, owner=ALICE, messages=1)
            expected[id] = expected.get(id, 0) + 1
            if step % 3_000 == 2_999:
                await flushed(tracker)
        await tracker.close()
    assert sum(proxy.injected.values()) > 5, proxy.injected
    assert await counts(database) == expected
    assert tracker.stats.retried > 0
    assert (tracker.stats.pending, tracker.stats.dropped) == (0, 0)


async def test_several_processes_write_the_same_sessions_exactly(
    gateway: Gateway, database: Database
) -> None:
    trackers = [supabase(gateway, max_batch=37) for _ in range(4)]

    async def process(tracker: SupabaseSessionTracker, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20):
            for n in chance.sample(range(100), 60):
                tracker.touch(f"s{n}", owner=ALICE, messages=1, counters={"n": 1})
            await tracker.flush()

    await asyncio.gather(*(process(tracker, seed) for seed, tracker in enumerate(trackers)))
    total = sum((await counts(database)).values())
    assert total == 4 * 20 * 60
    for tracker in trackers:
        await tracker.close()


async def test_a_restart_of_the_database_loses_nothing(databases: Databases) -> None:
    server = PostgresServer("postgres-18")
    try:
        server.start()
        await set_up(server)
        async with Gateway(server.url(TRACKED, "authenticator")).open() as gateway:
            tracker = supabase(gateway, flush_interval=0.01)
            for n in range(300):
                tracker.touch(f"s{n % 30}", owner=ALICE, messages=1)
                if n == 100:
                    server.kill()
                    await eventually(lambda: tracker.stats.last_error is not None)
                    server.start()
                await asyncio.sleep(0.001)
            await eventually(lambda: not tracker.stats.pending, seconds=60)
            sessions = (await tracker.list(owner=ALICE)).sessions
            assert [session.message_count for session in sessions] == [10] * 30
            await tracker.close()
    finally:
        server.close()


async def test_poison_in_a_batch_takes_nobody_with_it(
    supabase_tracker: SupabaseSessionTracker, database: Database
) -> None:
    for n in range(50):
        supabase_tracker.touch(f"s{n}", owner=ALICE, messages=1)
    supabase_tracker.touch("s13", owner=ALICE, messages=2**63 - 1)
    supabase_tracker.touch("s31", owner=ALICE, counters={"n": 2**62})
    supabase_tracker.touch("s31", owner=ALICE, counters={"n": 2**62})
    await supabase_tracker.flush()
    assert await counts(database) == {f"s{n}": 1 for n in range(50) if n not in (13, 31)}
    assert supabase_tracker.stats.dropped == 2


async def test_a_batch_that_is_too_large_for_the_way_is_halved(
    gateway: Gateway, supabase_tracker: SupabaseSessionTracker, database: Database
) -> None:
    def narrow(request: Request) -> Response | None:
        large = int(request.headers["content-length"]) > 2_000
        return PlainTextResponse("too large", 413) if large else None

    gateway.interfere = narrow
    for n in range(100):
        supabase_tracker.touch(f"s{n}", owner=ALICE, messages=1)
    await supabase_tracker.flush()
    assert await counts(database) == {f"s{n}": 1 for n in range(100)}


async def test_a_client_that_is_handed_in_is_not_closed(gateway: Gateway) -> None:
    async with client_of(gateway, key_of("service_role")) as client:
        tracker = SupabaseSessionTracker(client=client)
        tracker.touch("s", owner=ALICE, messages=1)
        await tracker.close()
        found = await client.table("chat_sessions").select("id").execute()
        assert found.data == [{"id": "s"}]


async def test_it_has_a_client_of_its_own_in_each_event_loop(gateway: Gateway) -> None:
    tracker = supabase(gateway)
    gateway.keeps_alive = False  # a connection that is left open in a loop that is gone is a leak

    def in_another_loop() -> None:
        async def turn() -> None:
            tracker.touch("s", owner=ALICE, messages=1)
            await tracker.flush()

        asyncio.run(turn())

    for _ in range(3):
        await asyncio.to_thread(in_another_loop)
    assert (await tracker.get("s", owner=ALICE)).message_count == 3
    await tracker.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_it_can_be_closed_in_another_event_loop(gateway: Gateway) -> None:
    tracker = supabase(gateway)

    def in_two_loops() -> None:
        with pytest.raises(SessionNotFound):
            asyncio.run(tracker.get("s", owner=ALICE))
        assert asyncio.run(tracker.close()).pending == 0

    await asyncio.to_thread(in_two_loops)
    gc.collect()  # while a connection that is left open is no failure


async def test_the_clock_of_a_client_does_not_matter(
    supabase_tracker: SupabaseSessionTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    first = await supabase_tracker.get("s", owner=ALICE)
    monkeypatch.setattr("time.time", lambda: 0.0)
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    later = await supabase_tracker.get("s", owner=ALICE)
    assert later.last_activity_at > first.last_activity_at
    monkeypatch.setattr("time.monotonic", lambda: -1e9)
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    monkeypatch.undo()
    last = await supabase_tracker.get("s", owner=ALICE)
    assert (last.last_activity_at, last.message_count) == (later.last_activity_at, 3)


@pytest.fixture
async def abroad(database: Database) -> AsyncGenerator[None]:
    """A project whose database shows its times in a zone of its own."""
    await database.execute(f"alter database {TRACKED} set timezone to 'America/New_York'")
    yield
    await database.execute(f"alter database {TRACKED} reset timezone")


@pytest.mark.usefixtures("abroad")
async def test_times_are_in_utc_whatever_zone_the_database_has(postgres: PostgresServer) -> None:
    async with Gateway(postgres.url(TRACKED, "authenticator")).open() as gateway:
        tracker = supabase(gateway)
        tracker.touch("s", owner=ALICE, messages=1)
        ended = await tracker.complete("s", owner=ALICE)
        (listed,) = (await tracker.list(owner=ALICE, status=ended.status)).sessions
        await tracker.close()
    for session in (ended, listed):
        times = session.started_at, session.last_activity_at, session.ended_at
        assert {at and at.tzinfo for at in times} == {UTC}


async def test_calls_that_come_at_once_share_one_client(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[httpx.AsyncClient] = []
    make = httpx.AsyncClient.__init__

    def counted(client: httpx.AsyncClient, **options: Any) -> None:
        made.append(client)
        make(client, **options)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", counted)
    tracker = supabase(gateway)
    await asyncio.gather(*(tracker.list(owner=f"user{n}") for n in range(10)))
    await tracker.close()
    assert len(made) == 1
    assert made[0].is_closed


async def test_nothing_is_sent_before_the_first_call(gateway: Gateway) -> None:
    tracker = supabase(gateway)
    await tracker.open()
    await tracker.flush()
    await tracker.close()
    assert gateway.calls == {}


async def test_requests_name_the_schema_and_carry_the_key_twice(
    gateway: Gateway, supabase_tracker: SupabaseSessionTracker
) -> None:
    seen: list[Request] = []

    def watch(request: Request) -> None:
        seen.append(request)

    gateway.interfere = watch
    await supabase_tracker.list(owner=ALICE)
    (request,) = seen
    assert (request.method, request.url.path) == ("POST", "/rest/v1/rpc/chat_sessions_page")
    assert request.headers["content-profile"] == "public"
    assert request.headers["apikey"] == key_of("service_role")
    assert request.headers["authorization"] == f"Bearer {key_of('service_role')}"
    assert httpx.URL(str(request.url)).query == b""


async def test_what_nobody_needs_any_more_is_forgotten(
    database: Database, supabase_tracker: SupabaseSessionTracker
) -> None:
    supabase_tracker.moved("t", owner=ALICE, was="visit", was_owner=None)
    supabase_tracker.touch("s", owner=ALICE, messages=1)
    await supabase_tracker.flush()
    await supabase_tracker.delete("s", owner=ALICE)
    for days, left in ((7, 1), (9, 0)):
        await database.execute(
            f"update public.chat_session_batches set applied_at = now() - interval '{days} days';"
            f"update public.chat_session_deletions set deleted_at = now() - interval '{days} days';"
            f"update public.chat_session_moves set moved_at = now() - interval '{days} days'"
        )
        await supabase_tracker.sweep()
        for table in ("chat_session_batches", "chat_session_deletions", "chat_session_moves"):
            assert await database.fetchval(f"select count(*) from public.{table}") == left
