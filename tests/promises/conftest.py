"""Fixtures of server processes that run the chat on the shared Valkey."""

from collections.abc import Callable, Generator

import pytest
from opentelemetry.instrumentation.redis import RedisInstrumentor

from jv_session_mw import ConversationStore, RedisConversationStore
from tests.promises.apps import KEYS
from tests.promises.clients import Visitor, Way
from tests.promises.database import Database
from tests.promises.recording import Recorder
from tests.promises.serving import WebServer
from tests.servers import RedisServer, Servers

GetServer = Callable[..., WebServer]
StartServer = Callable[..., WebServer]
Visit = Callable[..., Visitor]

FASTAPI = "apps:fastapi_app"

# No promise under test here is about the deadline, and the machine may be busy.
PATIENT_SECONDS = 20.0


def environment(redis: RedisServer) -> dict[str, str]:
    return {"REDIS_URL": redis.url, "JV_SESSION_SECRET_KEYS": ",".join(KEYS)}


@pytest.fixture(scope="session")
def shared_servers(servers: Servers) -> Generator[GetServer]:
    """Servers that run for the whole session, by their kind and the factory of their app."""
    running: dict[tuple[str, str], WebServer] = {}

    def get(kind: str, factory: str = FASTAPI) -> WebServer:
        if (kind, factory) not in running:
            server = WebServer(kind, factory, environment(servers.get("valkey-9")))
            running[kind, factory] = server
            server.start()
        return running[kind, factory]

    yield get
    for server in running.values():
        server.close()


@pytest.fixture
def start_server() -> Generator[StartServer]:
    """Start servers of the test's own: `start_server("granian", own_valkey)`."""
    started: list[WebServer] = []

    def start(kind: str, redis: RedisServer, *options: str, factory: str = FASTAPI) -> WebServer:
        server = WebServer(kind, factory, environment(redis), *options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def visit() -> Generator[Visit]:
    """Make clients: `visit(server, "header")`; their connections are closed at the end."""
    made: list[Visitor] = []

    def make(server: WebServer, way: Way = "cookie") -> Visitor:
        made.append(Visitor(server.port, way))
        return made[-1]

    yield make
    for visitor in made:
        visitor.close()


@pytest.fixture
def recorder() -> Generator[Recorder]:
    """OpenTelemetry's SDK, which keeps what it is told."""
    made = Recorder()
    yield made
    made.close()


@pytest.fixture
def store(valkey: RedisServer, recorder: Recorder) -> ConversationStore:
    """A store on the shared Valkey that tells `recorder`; whoever serves it closes it."""
    return RedisConversationStore(
        url=valkey.url,
        deadline=PATIENT_SECONDS,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )


@pytest.fixture
def database(valkey: RedisServer) -> Generator[Database]:
    """What is really stored in the shared Valkey."""
    found = Database(valkey.url)
    yield found
    found.close()


@pytest.fixture
def redis_spans(recorder: Recorder) -> Generator[None]:
    """Redis instrumentation, as an operator turns it on."""
    instrumentor = RedisInstrumentor()
    instrumentor.instrument(  # pyright: ignore[reportUnknownMemberType]
        tracer_provider=recorder.tracer_provider
    )
    yield
    instrumentor.uninstrument()
