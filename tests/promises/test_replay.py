"""Promise: with recovery="replay", what an outage kept from Redis is there afterwards, once."""

from collections.abc import Callable

import pytest

from jv_session_mw.cli.processes import poll_until
from tests.promises.apps import changed
from tests.promises.clients import Visitor
from tests.promises.conftest import StartServer, Visit
from tests.promises.serving import KINDS
from tests.servers import RedisServer

REPLAY = "apps:fastapi_app_with_replay"
SECONDS = 20.0

NewServer = Callable[..., RedisServer]


def is_degraded(visitor: Visitor) -> bool:
    return visitor.ask("GET", "/about").fields["degraded"] is True


def seen_by_another(
    visit: Visit, start_server: StartServer, redis: RedisServer
) -> Callable[..., object]:
    """Return what reads a visitor's conversation in another process, which has Redis alone."""
    server = start_server("uvicorn-h11", redis)

    def read(visitor: Visitor) -> object:
        other = visit(server)
        other.ticket.token = visitor.ticket.token
        return other.read()

    return read


@pytest.mark.parametrize("kind", KINDS)
def test_the_turns_of_an_outage_are_in_redis_afterwards(
    start_server: StartServer, visit: Visit, new_valkey: NewServer, kind: str
) -> None:
    redis = new_valkey(persistent=True)
    server = start_server(kind, redis, factory=REPLAY)
    writer, newcomer, leaver = visit(server), visit(server), visit(server)
    writer.turn("endpoint", "one")
    leaver.turn("endpoint", "gone")
    token = leaver.ticket.token
    redis.kill()
    writer.turn("endpoint", "two")
    writer.turn("stream", "three")
    newcomer.turn("endpoint", "new")
    leaver.ask("DELETE", "/conversation")
    assert is_degraded(writer)
    redis.start()
    assert poll_until(lambda: not is_degraded(writer), seconds=SECONDS)
    assert poll_until(lambda: not is_degraded(newcomer), seconds=SECONDS)
    read = seen_by_another(visit, start_server, redis)
    writer.turn("endpoint", "four")
    assert read(writer) == changed(["one", "two", "three", "four"])
    assert read(newcomer) == changed(["new"])
    leaver.ticket.token = token
    assert read(leaver) == {"state": {}, "messages": []}
    assert "could not be applied" not in server.log


@pytest.mark.parametrize("kind", KINDS)
def test_a_shutdown_just_after_the_return_replays_first(
    start_server: StartServer, visit: Visit, new_valkey: NewServer, kind: str
) -> None:
    redis = new_valkey(persistent=True)
    server = start_server(kind, redis, factory=REPLAY)
    visitor, watcher = visit(server), visit(server)
    visitor.turn("endpoint", "one")
    watcher.turn("endpoint", "watched")
    redis.kill()
    visitor.turn("endpoint", "two")
    assert is_degraded(watcher)
    redis.start()
    assert poll_until(lambda: not is_degraded(watcher), seconds=SECONDS)
    visitor.close()
    watcher.close()
    server.terminate()
    server.wait()
    assert seen_by_another(visit, start_server, redis)(visitor) == changed(["one", "two"])
