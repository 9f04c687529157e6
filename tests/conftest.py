"""Fixtures that give a test a real server. None is ever replaced by a fake.

A server of a kind starts when the first test asks for it, and is empty when a test begins.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Sequence

import asyncpg
import pytest

from jv_session_mw import ConversationStore
from tests.gateway import Gateway
from tests.postgres import PostgresServer
from tests.projects import TRACKED, Database, Databases
from tests.servers import KINDS, RedisServer, Servers, new_server
from tests.stores import STORES, opened


@pytest.fixture(scope="session")
def servers() -> Generator[Servers]:
    """The shared servers by their kind: `servers.get("redis-7")`."""
    shared = Servers()
    yield shared
    shared.close()


@pytest.fixture(params=KINDS)
def redis_server(request: pytest.FixtureRequest, servers: Servers) -> RedisServer:
    """Run the test once for each kind of server; shared, so it must be left running."""
    kind: str = request.param
    return servers.get(kind)


@pytest.fixture
def valkey(servers: Servers) -> RedisServer:
    """One empty server, where the kind does not matter; shared, so it must be left running."""
    return servers.get("valkey-9")


@pytest.fixture
def own_valkey() -> Generator[RedisServer]:
    """A server of the test's own, to kill, freeze and restart; it keeps nothing over a restart."""
    server = new_server("valkey-9")
    yield server
    server.close()


@pytest.fixture
def new_valkey() -> Generator[Callable[..., RedisServer]]:
    """Make servers of the test's own: `new_valkey(persistent=True)` keeps data over `restart()`."""
    made: list[RedisServer] = []

    def make(
        kind: str = "valkey-9", *, persistent: bool = False, options: Sequence[str] = ()
    ) -> RedisServer:
        made.append(new_server(kind, persistent=persistent, options=options))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(params=STORES)
async def store(
    request: pytest.FixtureRequest, servers: Servers
) -> AsyncGenerator[ConversationStore]:
    """Run the test once for each kind of store, which is empty."""
    async with opened(request.param, servers) as store:
        yield store


@pytest.fixture(scope="session")
def databases() -> Generator[Databases]:
    shared = Databases()
    yield shared
    shared.close()


@pytest.fixture
async def postgres(databases: Databases) -> PostgresServer:
    """One server, where the kind does not matter; shared, so it must be left running."""
    return await databases.get("postgres-18")


@pytest.fixture
async def gateway(postgres: PostgresServer) -> AsyncGenerator[Gateway]:
    """The API of the database in `postgres`."""
    async with Gateway(postgres.url(TRACKED, "authenticator")).open() as gateway:
        yield gateway


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncGenerator[Database]:
    """A superuser's connection to the database in `postgres`."""
    connection = await asyncpg.connect(postgres.url(TRACKED))
    yield connection
    await connection.close()
