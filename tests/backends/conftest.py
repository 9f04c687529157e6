"""The fixture that runs one contract over every backend, and one that looks beneath."""

from collections.abc import AsyncGenerator, Callable, Generator

import pytest

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import Rules
from tests.backends.harness import TTL_MS, Bytes, Subject
from tests.backends.outage import Process
from tests.backends.parted import Parted
from tests.faults.proxy import Proxy
from tests.servers import KINDS, RedisServer, Servers


@pytest.fixture(params=("memory", "fallback", *KINDS))
async def subject(request: pytest.FixtureRequest, servers: Servers) -> AsyncGenerator[Subject]:
    """Run the test once for each kind of backend."""
    kind: str = request.param
    server = None
    if kind != "memory":
        server = servers.get("valkey-9" if kind == "fallback" else kind)
    subject = Subject(kind, server)
    yield subject
    await subject.close()


@pytest.fixture
def backend(subject: Subject) -> Backend:
    """A backend of each kind, with the rules that most tests need."""
    return subject.make()


@pytest.fixture
def stored(valkey: RedisServer) -> Generator[Bytes]:
    """The bytes in the server `valkey`."""
    stored = Bytes(valkey)
    yield stored
    stored.close()


@pytest.fixture
async def new_process(
    new_valkey: Callable[..., RedisServer],
) -> AsyncGenerator[Callable[[], Process]]:
    """Make processes that share one server, which keeps its data over an outage."""
    server = new_valkey(persistent=True)
    made: list[Process] = []

    def make() -> Process:
        made.append(Process(server))
        return made[-1]

    yield make
    for process in made:
        await process.backend.close()


@pytest.fixture
def process(new_process: Callable[[], Process]) -> Process:
    """The only process, or the first one."""
    return new_process()


@pytest.fixture(params=[False], ids=["merge"])
async def parted(request: pytest.FixtureRequest, valkey: RedisServer) -> AsyncGenerator[Parted]:
    async with Proxy(valkey.port) as proxy:
        parted = Parted(valkey, proxy, Rules(TTL_MS, reject=request.param))
        yield parted
        await parted.close()
