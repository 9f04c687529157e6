"""Promise: unreachable is not empty, and no request waits for a Redis that does not answer."""

import sys
from collections.abc import Callable

import pytest

from jv_session_mw.cli.processes import poll_until
from tests.promises.apps import changed
from tests.promises.clients import WAYS, Answer, Visitor, Way
from tests.promises.conftest import StartServer, Visit
from tests.promises.serving import KINDS, WebServer
from tests.servers import RedisServer

AWAY = "conversation store away"
HANG_SECONDS = 15.0  # redis-py by itself waits for a minute

Break = Callable[[RedisServer], None]
BREAKS: dict[str, Break] = {"killed": RedisServer.kill, "frozen": RedisServer.freeze}
REPAIRS: dict[str, Break] = {"killed": RedisServer.start, "frozen": RedisServer.thaw}


def keeps_its_token(answer: Answer) -> bool:
    return answer.status == 200 and not answer.all("set-cookie")


def is_degraded(visitor: Visitor) -> bool:
    answer = visitor.ask("GET", "/about")
    assert answer.status == 200, answer
    return answer.fields["degraded"] is True


def wait_until_back(server: WebServer, visit: Visit) -> None:
    """Return once the store says that the outage is over, and new conversations are in Redis."""
    watcher = visit(server)
    back = {"degraded": False}
    assert poll_until(lambda: watcher.ask("GET", "/store").json == back, seconds=HANG_SECONDS)
    assert not is_degraded(begun(server, visit))


def begun(server: WebServer, visit: Visit) -> Visitor:
    visitor = visit(server)
    visitor.turn("endpoint", "new")
    return visitor


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_conversations_go_on_with_their_context_when_redis_is_killed(
    start_server: StartServer, visit: Visit, own_valkey: RedisServer, kind: str, way: Way
) -> None:
    server = start_server(kind, own_valkey)
    visitor = visit(server, way)
    visitor.turn("endpoint", "one")
    token = visitor.ticket.token
    own_valkey.kill()
    for place in ("endpoint", "stream"):
        assert keeps_its_token(visitor.turn(place, place))
    assert visitor.read() == changed(["one", "endpoint", "stream"])
    assert is_degraded(visitor)
    newcomer = visit(server, way)
    newcomer.turn("endpoint", "new")
    newcomer.turn("endpoint", "more")
    assert newcomer.read() == changed(["new", "more"])
    assert visitor.ticket.token == token
    assert server.log.count(AWAY) == 1


@pytest.mark.parametrize("how", list(BREAKS))
def test_every_request_answers_while_redis_is_away_and_after_it_is_back(
    start_server: StartServer, visit: Visit, own_valkey: RedisServer, how: str
) -> None:
    server = start_server("uvicorn-httptools", own_valkey)
    visitor = visit(server)
    visitor.turn("endpoint", "0")
    BREAKS[how](own_valkey)
    for turn in range(1, 10):
        assert keeps_its_token(visitor.turn("endpoint", str(turn)))
    assert server.log.count(AWAY) == 1
    REPAIRS[how](own_valkey)
    wait_until_back(server, visit)
    assert visitor.read() == changed([str(turn) for turn in range(10)])
    assert server.log.count(AWAY) == 1


@pytest.mark.parametrize("how", list(BREAKS))
def test_a_second_outage_is_a_second_warning(
    start_server: StartServer, visit: Visit, own_valkey: RedisServer, how: str
) -> None:
    server = start_server("uvicorn-h11", own_valkey)
    for outage in (1, 2):
        BREAKS[how](own_valkey)
        begun(server, visit)
        begun(server, visit)
        assert server.log.count(AWAY) == outage
        REPAIRS[how](own_valkey)
        wait_until_back(server, visit)
    assert server.log.count(AWAY) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_without_redis_is_one_warning_and_everything_answers(
    start_server: StartServer, visit: Visit, own_valkey: RedisServer, kind: str
) -> None:
    own_valkey.kill()
    server = start_server(kind, own_valkey)
    visitor = visit(server)
    visitor.turn("endpoint", "one")
    assert keeps_its_token(visitor.turn("stream", "two"))
    assert visitor.read() == changed(["one", "two"])
    assert server.log.count(AWAY) == 1
    own_valkey.start()
    wait_until_back(server, visit)
    assert visitor.read() == changed(["one", "two"])


def test_a_start_with_a_frozen_redis_answers_too(
    start_server: StartServer, visit: Visit, own_valkey: RedisServer
) -> None:
    own_valkey.freeze()
    server = start_server("uvicorn-h11", own_valkey)
    visitor = visit(server)
    visitor.turn("endpoint", "one")
    assert visitor.read() == changed(["one"])
    assert server.log.count(AWAY) == 1


def test_what_was_written_during_the_outage_stays_in_memory_and_nothing_is_migrated(
    start_server: StartServer, visit: Visit, new_valkey: Callable[..., RedisServer]
) -> None:
    redis = new_valkey(persistent=True)
    server = start_server("uvicorn-httptools", redis)
    writer, reader = visit(server), visit(server)
    writer.turn("endpoint", "one")
    reader.turn("endpoint", "mine")
    stored = redis.ask("DBSIZE")
    redis.kill()
    writer.turn("endpoint", "two")
    assert reader.read() == changed(["mine"])
    assert is_degraded(reader)
    newcomer = begun(server, visit)
    redis.start()
    assert poll_until(lambda: not is_degraded(reader), seconds=HANG_SECONDS)
    assert redis.ask("DBSIZE") == stored
    assert writer.read() == changed(["one", "two"])
    assert is_degraded(writer)
    assert newcomer.read() == changed(["new"])
    assert is_degraded(newcomer)
    assert reader.read() == changed(["mine"])
    writer.turn("endpoint", "three")
    assert redis.ask("DBSIZE") == stored
    assert not is_degraded(begun(server, visit))
    # Another process has Redis alone to go by, and finds there what the outage did not touch.
    other = visit(start_server("uvicorn-httptools", redis))
    other.ticket.token = writer.ticket.token
    assert other.read() == changed(["one"])


def test_what_was_deleted_during_the_outage_stays_deleted(
    start_server: StartServer, visit: Visit, new_valkey: Callable[..., RedisServer]
) -> None:
    redis = new_valkey(persistent=True)
    server = start_server("uvicorn-httptools", redis)
    visitor, sentinel = visit(server), begun(server, visit)
    visitor.turn("endpoint", "one")
    token = visitor.ticket.token
    redis.kill()
    visitor.ask("DELETE", "/conversation")
    redis.start()
    assert poll_until(lambda: not is_degraded(sentinel), seconds=HANG_SECONDS)
    visitor.ticket.token = token
    assert visitor.read() == {"state": {}, "messages": []}


def test_a_known_id_whose_history_cannot_be_read_is_served_without_a_new_cookie(
    start_server: StartServer, visit: Visit, new_valkey: Callable[..., RedisServer]
) -> None:
    """A process that has never served this conversation has nothing of it while Redis is away."""
    redis = new_valkey(persistent=True)
    first, second = (start_server("uvicorn-httptools", redis) for _ in range(2))
    visitor = visit(first)
    visitor.turn("endpoint", "one")
    token = visitor.ticket.token
    elsewhere = visit(second)
    elsewhere.ticket.token = token
    redis.kill()
    assert keeps_its_token(elsewhere.ask("GET", "/read"))
    about = elsewhere.ask("GET", "/about")
    assert keeps_its_token(about)
    assert (about.fields["degraded"], about.fields["is_new"]) == (True, False)
    redis.start()
    assert poll_until(lambda: not is_degraded(elsewhere), seconds=HANG_SECONDS)
    assert elsewhere.read() == changed(["one"])
    assert elsewhere.ticket.token == token


# From Python 3.12 on hypercorn waits for its clients to leave, whatever the timeout: a bare app
# that streams keeps it running too.
HYPERCORN = [("hypercorn --graceful-timeout=1", place) for place in ("held", "held-sse")]


@pytest.mark.parametrize(
    ("server_options", "place"),
    [
        ("uvicorn-h11 --timeout-graceful-shutdown=1", "held"),
        ("uvicorn-h11 --timeout-graceful-shutdown=1", "held-finally"),
        ("uvicorn-httptools --timeout-graceful-shutdown=1", "held-sse"),
        ("granian --workers-kill-timeout=1", "held"),
        ("granian --workers-kill-timeout=1", "held-sse"),
        *(HYPERCORN if sys.version_info < (3, 12) else []),
    ],
)
def test_a_shutdown_during_a_stream_keeps_what_it_changed(
    start_server: StartServer, visit: Visit, valkey: RedisServer, server_options: str, place: str
) -> None:
    kind, option = server_options.split()
    server = start_server(kind, valkey, option)
    visitor = visit(server)
    visitor.turn("endpoint", "before")
    with visitor.streaming(f"/{place}?mark=now", b"changed,"):
        server.terminate()
        server.wait()
    after = visit(start_server("uvicorn-h11", valkey))
    after.ticket.token = visitor.ticket.token
    assert after.read() == changed(["before", "now"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_shutdown_waits_for_the_commit_of_a_background_task(
    start_server: StartServer, visit: Visit, valkey: RedisServer, kind: str
) -> None:
    server = start_server(kind, valkey)
    visitor = visit(server)
    visitor.turn("endpoint", "before")
    visitor.turn("background", "now")
    server.terminate()
    server.wait()
    after = visit(start_server("uvicorn-h11", valkey))
    after.ticket.token = visitor.ticket.token
    assert after.read() == changed(["before", "now"])
