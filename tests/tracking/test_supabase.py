"""Between us and the database everything may fail: what is counted stays exact, and is typed."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from jv_session_mw.errors import ConfigurationError, UnsupportedValue
from jv_session_mw.tracking import (
    SchemaMissing,
    SessionNotFound,
    SupabaseSessionTracker,
    TrackerUnavailable,
)
from jv_session_mw.tracking.migrations import migrations
from tests.faults.proxy import Fault, Proxy
from tests.gateway import Gateway, Refusal, key_of
from tests.postgres import DATABASE, PostgresServer
from tests.projects import TRACKED, Database, Databases, set_up
from tests.promises.serving import eventually
from tests.tracking.conftest import supabase

ALICE = "alice"
FAULTS: tuple[Fault, ...] = ("no reply", "cut reply", "reset", "cut request", "delay", "trickle")


@pytest.fixture
async def tracker(gateway: Gateway) -> AsyncGenerator[SupabaseSessionTracker]:
    tracker = supabase(gateway)
    yield tracker
    await tracker.close()


async def flushed(tracker: SupabaseSessionTracker) -> None:
    """Flush until nothing waits, whatever is in between."""
    async with asyncio.timeout(60):
        while tracker.stats.pending:
            try:
                await tracker.flush()
            except TrackerUnavailable:
                continue


@asynccontextmanager
async def handed(gateway: Gateway) -> AsyncGenerator[AsyncClient]:
    """Make a client as an application has one."""
    async with httpx.AsyncClient() as http:
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False)
        yield await acreate_client(gateway.url, key_of("service_role"), options)


async def counts(database: Database) -> dict[str, int]:
    rows = await database.fetch("select id, message_count from public.chat_sessions")
    return {row["id"]: row["message_count"] for row in rows}


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


ANSWERS = {
    "too many requests": (Response('{"message": "slow down"}', 429), "overload"),
    "an HTML page of a proxy": (PlainTextResponse("<html>502</html>", 502), "server"),
    "a page in place of an answer": (PlainTextResponse("<html>hi</html>"), "protocol"),
    "nothing there": (PlainTextResponse("not found", 404), "protocol"),
    "an unknown key": (Response('{"message": "Invalid API key"}', 401), "auth"),
    "an internal error": (Refusal(500, "XX000", "bug").response(), "server"),
    "no connection left": (Refusal(503, "53300", "full").response(), "overload"),
    "a deadlock": (Refusal(500, "40P01", "deadlock").response(), "server"),
    "a time-out of the statement": (Refusal(500, "57014", "time").response(), "server"),
    "denied by row level security": (Refusal(403, "42501", "denied").response(), "permission"),
    "no such function": (Refusal(404, "PGRST202", "none").response(), "schema"),
    "no such table": (Refusal(404, "42P01", "none").response(), "schema"),
}


# The status of an answer is in the hands of our own client alone; the error has only its code.
WITHOUT_CODE = {"too many requests", "an unknown key"}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("handed_in", [False, True], ids=["own client", "handed in"])
async def test_each_failure_is_a_typed_error_and_loses_nothing(
    gateway: Gateway, database: Database, what: str, handed_in: bool
) -> None:
    answer, reason = ANSWERS[what]
    if handed_in and what in WITHOUT_CODE:
        reason = "server"
    async with handed(gateway) as client:
        tracker = supabase(gateway)
        if handed_in:
            tracker = SupabaseSessionTracker(client=client, flush_interval=3600)
        tracker.touch("s", owner=ALICE, messages=1)
        gateway.interfere = lambda _: answer
        for call in (tracker.flush(), tracker.get("s", owner=ALICE), tracker.list(owner="bob")):
            with pytest.raises(
                SchemaMissing if reason == "schema" else TrackerUnavailable
            ) as caught:
                await call
            assert caught.value.__cause__ is not None
            if isinstance(caught.value, TrackerUnavailable):
                assert caught.value.reason == reason
                assert caught.value.retryable == (reason in ("overload", "server"))
            assert tracker.stats.pending == 1
        gateway.interfere = lambda _: None
        await tracker.flush()
        assert await counts(database) == {"s": 1}
        assert tracker.stats.last_error is None
        await tracker.close()


async def test_a_project_that_hangs_is_unavailable_after_the_time_out(gateway: Gateway) -> None:
    tracker = supabase(gateway, timeout=0.2)
    gateway.may_answer.clear()
    tracker.touch("s", owner=ALICE, messages=1)
    for call in (tracker.get("s", owner=ALICE), tracker.flush(), tracker.delete_owner(ALICE)):
        with pytest.raises(TrackerUnavailable) as caught:
            await call
        assert (caught.value.reason, caught.value.retryable) == ("timeout", True)
    gateway.may_answer.set()
    assert (await tracker.get("s", owner=ALICE)).message_count == 1
    await tracker.close()


async def test_a_project_that_is_not_there_is_unavailable() -> None:
    tracker = SupabaseSessionTracker(url="http://127.0.0.1:1", key="key", flush_interval=3600)
    tracker.touch("s", owner=ALICE, messages=1)
    with pytest.raises(TrackerUnavailable) as caught:
        await tracker.get("s", owner=ALICE)
    assert caught.value.reason == "connection"
    assert (await tracker.close()).pending == 1


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_the_key_of_a_client_is_refused(gateway: Gateway, role: str) -> None:
    tracker = SupabaseSessionTracker(url=gateway.url, key=key_of(role, sub=ALICE), timeout=20)
    with pytest.raises(TrackerUnavailable, match="SUPABASE_SERVICE_KEY") as caught:
        await tracker.get("s", owner=ALICE)
    assert caught.value.reason == "permission"
    await tracker.close()


@pytest.mark.parametrize(
    "key", ["no-token", key_of("service_role", exp=1), "eyJhbGciOiJub25lIn0.e30."]
)
async def test_a_wrong_or_expired_key_is_refused(gateway: Gateway, key: str) -> None:
    tracker = SupabaseSessionTracker(url=gateway.url, key=key, timeout=20)
    with pytest.raises(TrackerUnavailable, match="SUPABASE_SERVICE_KEY") as caught:
        await tracker.get("s", owner=ALICE)
    assert caught.value.reason == "auth"
    await tracker.close()


async def test_a_project_without_the_migrations_says_what_to_do(postgres: PostgresServer) -> None:
    administration = await asyncpg.connect(postgres.url("postgres"))
    await administration.execute("drop database if exists bare")
    await administration.execute("create database bare")
    await administration.close()
    connection = await asyncpg.connect(postgres.url("bare"))
    await connection.execute(DATABASE)
    async with Gateway(postgres.url("bare", "authenticator")).open() as gateway:
        tracker = supabase(gateway)
        tracker.touch("s", owner=ALICE, messages=1)
        with pytest.raises(SchemaMissing, match="migrate --print"):
            await tracker.get("s", owner=ALICE)
        for _, sql in migrations():  # which end with the reload of the schema cache
            await connection.execute(sql)
        await eventually(lambda: "chat_session_get()" in gateway._known)  # pyright: ignore[reportPrivateUsage]
        assert (await tracker.get("s", owner=ALICE)).message_count == 1
        await tracker.close()
    await connection.close()


async def test_poison_in_a_batch_takes_nobody_with_it(
    tracker: SupabaseSessionTracker, database: Database
) -> None:
    for n in range(50):
        tracker.touch(f"s{n}", owner=ALICE, messages=1)
    tracker.touch("s13", owner=ALICE, messages=2**70)
    tracker.touch("s31", owner=ALICE, counters={"n": 2**62})
    tracker.touch("s31", owner=ALICE, counters={"n": 2**62})
    await tracker.flush()
    assert await counts(database) == {f"s{n}": 1 for n in range(50) if n not in (13, 31)}
    assert tracker.stats.dropped == 2


async def test_a_batch_that_is_too_large_for_the_way_is_halved(
    gateway: Gateway, tracker: SupabaseSessionTracker, database: Database
) -> None:
    def narrow(request: Request) -> Response | None:
        large = int(request.headers["content-length"]) > 2_000
        return PlainTextResponse("too large", 413) if large else None

    gateway.interfere = narrow
    for n in range(100):
        tracker.touch(f"s{n}", owner=ALICE, messages=1)
    await tracker.flush()
    assert await counts(database) == {f"s{n}": 1 for n in range(100)}


async def test_a_client_that_is_handed_in_is_not_closed(gateway: Gateway) -> None:
    async with handed(gateway) as client:
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


WRONG: list[tuple[dict[str, object], str]] = [
    ({"url": None}, "SUPABASE_URL is not set"),
    ({"url": "project"}, "SUPABASE_URL is 'project'"),
    ({"url": "https://p.supabase.co/rest/v1"}, "alone"),
    ({"url": "ftp://p.supabase.co"}, "SUPABASE_URL"),
    ({"url": "http://[::1"}, "SUPABASE_URL"),
    ({"url": "http://127.0.0.1:99999"}, "SUPABASE_URL"),
    ({"key": None}, "SUPABASE_SERVICE_KEY is not set"),
    ({"key": "two words"}, "SUPABASE_SERVICE_KEY"),
    ({"key": "a\nb"}, "SUPABASE_SERVICE_KEY"),
    ({"flush_interval": 0}, "flush_interval"),
    ({"timeout": -1}, "timeout"),
    ({"timeout": "5"}, "timeout"),
    ({"max_batch": 0}, "max_batch"),
    ({"max_batch": 1001}, "max_batch"),
    ({"max_pending": 0.5}, "max_pending"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG, ids=str)
def test_what_cannot_work_is_refused_at_start(wrong: dict[str, object], says: str) -> None:
    given = {"url": "https://p.supabase.co", "key": "key", **wrong}
    with pytest.raises(ConfigurationError, match=says):
        SupabaseSessionTracker(**given)  # type: ignore[arg-type]


def test_the_environment_names_project_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_URL", "https://p.supabase.co")
    with pytest.raises(ConfigurationError, match="SUPABASE_SERVICE_KEY is not set"):
        SupabaseSessionTracker()
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "sb_secret_key")
    SupabaseSessionTracker()


async def test_no_secret_is_in_an_error(gateway: Gateway) -> None:
    key = key_of("service_role", exp=1)
    tracker = SupabaseSessionTracker(url=gateway.url, key=key)
    with pytest.raises(TrackerUnavailable) as caught:
        await tracker.get("my-id", owner="my-owner")
    for text in (str(caught.value), repr(caught.value), tracker.stats.last_error or ""):
        assert key not in text
        assert "my-" not in text
    await tracker.close()
    working = supabase(gateway)
    with pytest.raises(SessionNotFound) as missing:
        await working.get("my-id", owner="my-owner")
    assert "my-" not in str(missing.value)
    await working.close()


async def test_the_clock_of_a_client_does_not_matter(
    tracker: SupabaseSessionTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.touch("s", owner=ALICE, messages=1)
    first = await tracker.get("s", owner=ALICE)
    monkeypatch.setattr("time.time", lambda: 0.0)
    tracker.touch("s", owner=ALICE, messages=1)
    later = await tracker.get("s", owner=ALICE)
    assert later.last_activity_at > first.last_activity_at
    monkeypatch.setattr("time.monotonic", lambda: -1e9)
    tracker.touch("s", owner=ALICE, messages=1)
    monkeypatch.undo()
    last = await tracker.get("s", owner=ALICE)
    assert (last.last_activity_at, last.message_count) == (later.last_activity_at, 3)


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


async def test_requests_name_the_schema_and_carry_the_key_twice(gateway: Gateway) -> None:
    seen: list[Request] = []

    def watch(request: Request) -> None:
        seen.append(request)

    gateway.interfere = watch
    tracker = supabase(gateway)
    await tracker.list(owner=ALICE)
    await tracker.close()
    (request,) = seen
    assert (request.method, request.url.path) == ("POST", "/rest/v1/rpc/chat_sessions_page")
    assert request.headers["content-profile"] == "public"
    assert request.headers["apikey"] == key_of("service_role")
    assert request.headers["authorization"] == f"Bearer {key_of('service_role')}"
    assert httpx.URL(str(request.url)).query == b""


@pytest.mark.parametrize("body", ["{}", "[]", '[{"id": "s"}]', '"text"', "7", "null", "[1, []]"])
async def test_json_of_something_else_is_a_typed_error_too(gateway: Gateway, body: str) -> None:
    tracker = supabase(gateway)
    gateway.interfere = lambda _: Response(body, media_type="application/json")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: tracker.get("s", owner=ALICE),
        lambda: tracker.create("s", owner=ALICE),
        lambda: tracker.snapshot("s", owner=ALICE),
        lambda: tracker.sweep(delete_after=1),
        lambda: tracker.delete("s", owner=ALICE),
    ]
    for call in calls:
        with pytest.raises((SchemaMissing, TrackerUnavailable)):
            await call()
    gateway.interfere = lambda _: None
    await tracker.close()


async def test_what_the_database_refuses_to_read_is_a_typed_error_too(
    gateway: Gateway, tracker: SupabaseSessionTracker
) -> None:
    gateway.interfere = lambda _: Refusal(400, "22008", "out of range").response()
    for call in (tracker.get("s", owner=ALICE), tracker.list(owner=ALICE), tracker.sweep()):
        with pytest.raises(UnsupportedValue, match="22008"):
            await call
