"""Each way in which a project fails is a typed error, and loses nothing."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from starlette.responses import PlainTextResponse, Response

from jv_session_mw.errors import ConfigurationError, UnsupportedValue
from jv_session_mw.tracking import (
    SchemaMissing,
    SessionNotFound,
    SupabaseSessionTracker,
    TrackerUnavailable,
)
from jv_session_mw.tracking.migrations import migrations
from tests.gateway import Gateway, Refusal, key_of
from tests.postgres import DATABASE, PostgresServer
from tests.projects import Database
from tests.promises.serving import eventually
from tests.tracking.conftest import supabase
from tests.tracking.projects import client_of, counts

ALICE = "alice"


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
    async with client_of(gateway, key_of("service_role")) as client:
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


WRONG: list[tuple[dict[str, object], str]] = [
    ({"url": None}, "SUPABASE_URL is not set"),
    ({"url": "project"}, "SUPABASE_URL is not the project's URL alone"),
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


@pytest.mark.parametrize(
    "url",
    [
        "eyJhbGciOi.hunter2.signature",
        "postgresql://postgres:hunter2@db.p.supabase.co:5432/postgres",
        "https://user:hunter2@p.supabase.co",
        "https://p.supabase.co/?apikey=hunter2",
    ],
)
def test_what_is_given_for_the_url_by_mistake_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_URL") as error:
        SupabaseSessionTracker(url=url, key="key")
    assert "hunter2" not in str(error.value)


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


@pytest.mark.parametrize("body", [b"<p>\xe9</p>", b"9" * 5_000, b"[" * 100_000], ids=len)
async def test_a_reply_that_nobody_can_read_loses_nothing_and_counts_nothing_twice(
    gateway: Gateway, database: Database, supabase_tracker: SupabaseSessionTracker, body: bytes
) -> None:
    for id in "ab":
        supabase_tracker.touch(id, owner=ALICE, messages=1)
    gateway.interfere = lambda _: Response(body, media_type="application/json")
    with pytest.raises(TrackerUnavailable) as caught:
        await supabase_tracker.flush()
    assert caught.value.reason == "protocol"
    gateway.interfere = lambda _: None
    await supabase_tracker.flush()
    assert await counts(database) == {"a": 1, "b": 1}
    assert supabase_tracker.stats.dropped == 0


@pytest.mark.parametrize("body", ["{}", "[]", '[{"id": "s"}]', '"text"', "7", "null", "[1, []]"])
async def test_json_of_something_else_is_a_typed_error_too(
    gateway: Gateway, supabase_tracker: SupabaseSessionTracker, body: str
) -> None:
    gateway.interfere = lambda _: Response(body, media_type="application/json")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: supabase_tracker.get("s", owner=ALICE),
        lambda: supabase_tracker.create("s", owner=ALICE),
        lambda: supabase_tracker.snapshot("s", owner=ALICE),
        lambda: supabase_tracker.sweep(delete_after=1),
        lambda: supabase_tracker.delete("s", owner=ALICE),
    ]
    for call in calls:
        with pytest.raises((SchemaMissing, TrackerUnavailable)):
            await call()


async def test_what_the_database_refuses_to_read_is_a_typed_error_too(
    gateway: Gateway, supabase_tracker: SupabaseSessionTracker
) -> None:
    gateway.interfere = lambda _: Refusal(400, "22008", "out of range").response()
    for call in (
        supabase_tracker.get("s", owner=ALICE),
        supabase_tracker.list(owner=ALICE),
        supabase_tracker.sweep(),
    ):
        with pytest.raises(UnsupportedValue, match="22008"):
            await call
