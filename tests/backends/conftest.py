"""The fixture that runs one contract over every backend, and one that looks beneath."""

from collections.abc import AsyncGenerator, Generator

import pytest

from jv_session_mw.backends.base import Backend
from tests.backends.harness import Bytes, Subject
from tests.conftest import Servers
from tests.servers import KINDS, RedisServer


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
