"""Real servers: what is noted survives their end, and no request waits for the database."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from tests.gateway import Gateway, key_of
from tests.projects import Database
from tests.promises.serving import KINDS, WebServer
from tests.servers import RedisServer
from tests.tracking.apps import KEYS

Start = Callable[..., WebServer]
APP = "tests.tracking.apps:tracked_app"
SELDOM = "tests.tracking.apps:seldom_written_app"
TURNS = 40


@pytest.fixture
def start(valkey: RedisServer, gateway: Gateway) -> Generator[Start]:
    """Start a server of this kind, whose tracker writes through `gateway`."""
    started: list[WebServer] = []

    def make(kind: str, app: str = APP) -> WebServer:
        environ = {
            "REDIS_URL": valkey.url,
            "JV_SESSION_SECRET_KEYS": KEYS[0],
            "SUPABASE_URL": gateway.url,
            "SUPABASE_SERVICE_KEY": key_of("service_role"),
        }
        server = WebServer(kind, app, environ)
        started.append(server)
        server.start()
        return server

    yield make
    for server in started:
        server.close()


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        yield client


async def turns(client: httpx.AsyncClient, server: WebServer, count: int) -> None:
    """Let *count* users say something, each in a conversation of their own."""

    async def turn(n: int) -> None:
        url = f"http://127.0.0.1:{server.port}/say?text=hello"
        answer = await client.post(url, headers={"x-owner": f"user{n}"})
        assert answer.status_code == 200, answer.text

    await asyncio.gather(*(turn(n) for n in range(count)))
    client.cookies.clear()


async def written(database: Database) -> tuple[int, int]:
    """Return how many sessions there are, and how many messages they count."""
    row = await database.fetchrow(
        "select count(*)::int, coalesce(sum(message_count), 0)::int from public.chat_sessions"
    )
    assert row is not None
    return row[0], row[1]


async def until_written(database: Database, sessions: int, messages: int) -> None:
    async with asyncio.timeout(20):
        while await written(database) != (sessions, messages):  # noqa: ASYNC110  # another process writes
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
async def test_sigterm_loses_nothing(
    start: Start, client: httpx.AsyncClient, database: Database, kind: str
) -> None:
    server = await asyncio.to_thread(start, kind, SELDOM)
    await turns(client, server, TURNS)
    server.terminate()
    await asyncio.to_thread(server.wait)
    assert await written(database) == (TURNS, 2 * TURNS)


@pytest.mark.parametrize("kind", KINDS)
async def test_sigterm_writes_what_a_server_has_that_waits_for_its_streams(
    start: Start, client: httpx.AsyncClient, database: Database, kind: str
) -> None:
    server = await asyncio.to_thread(start, kind, SELDOM)
    url = f"http://127.0.0.1:{server.port}/hold?text=hello"
    async with client.stream("POST", url, headers={"x-owner": "user"}) as answer:
        pieces = answer.aiter_text()  # which hangs up when nobody holds it any more
        await anext(pieces)
        server.terminate()
        await until_written(database, 1, 2)  # the question, and the answer as far as it had come
        server.kill()


async def test_sigkill_loses_no_more_than_one_interval(
    start: Start, client: httpx.AsyncClient, database: Database
) -> None:
    server = await asyncio.to_thread(start, "uvicorn-httptools")
    await turns(client, server, TURNS)
    await until_written(database, TURNS, 2 * TURNS)  # by itself, within its interval
    await turns(client, server, TURNS)
    server.kill()
    assert await written(database) >= (TURNS, 2 * TURNS)


@pytest.mark.parametrize("trouble", ["none", "hangs", "fails"])
async def test_no_request_calls_the_database(
    start: Start, gateway: Gateway, client: httpx.AsyncClient, database: Database, trouble: str
) -> None:
    server = await asyncio.to_thread(start, "uvicorn-h11")
    if trouble == "hangs":
        gateway.may_answer.clear()
    if trouble == "fails":
        gateway.interfere = lambda _: PlainTextResponse("bad gateway", 502)
    for _ in range(3):
        await turns(client, server, TURNS)
    # There is one flush under way at most for each interval that has passed, none for a request.
    assert sum(gateway.calls.values()) < TURNS
    gateway.may_answer.set()
    gateway.interfere = lambda _: None
    server.terminate()
    await asyncio.to_thread(server.wait)
    assert await written(database) == (3 * TURNS, 6 * TURNS)
