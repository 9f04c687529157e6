"""Promise: whatever the handler changed is there on the next request, wherever it changed it."""

import pytest

from jv_session_mw.cli.processes import poll_until
from tests.promises.apps import changed, changed_messages
from tests.promises.clients import WAYS, Visitor, Way
from tests.promises.conftest import GetServer, Visit
from tests.promises.serving import KINDS, WebServer
from tests.servers import RedisServer

BEFORE_THE_END = ("endpoint", "stream", "stream-end", "sse")
AFTER_THE_END = ("background", "background-thread")
UNTIL_A_HANG_UP = ("held", "held-finally", "held-sse")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def server(kind: str, shared_servers: GetServer, valkey: RedisServer) -> WebServer:
    """A running server of each kind, on an empty Valkey."""
    return shared_servers(kind)


@pytest.fixture(params=WAYS)
def visitor(request: pytest.FixtureRequest, server: WebServer, visit: Visit) -> Visitor:
    way: Way = request.param
    return visit(server, way)


@pytest.fixture(params=["new", "existing"])
def marks(request: pytest.FixtureRequest, visitor: Visitor) -> list[str]:
    """What the conversation holds already: nothing, or one turn."""
    if request.param == "new":
        return []
    visitor.turn("endpoint", "before")
    return ["before"]


@pytest.mark.parametrize("place", BEFORE_THE_END)
def test_a_change_before_the_last_byte_is_there_on_the_next_request(
    visitor: Visitor, marks: list[str], place: str
) -> None:
    visitor.turn(place, "now")
    assert visitor.read() == changed([*marks, "now"])


@pytest.mark.parametrize("place", AFTER_THE_END)
def test_a_change_in_a_background_task_is_kept(
    visitor: Visitor, marks: list[str], place: str
) -> None:
    visitor.turn(place, "now")
    assert poll_until(lambda: visitor.read() == changed([*marks, "now"]), seconds=10)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("place", UNTIL_A_HANG_UP)
def test_a_change_in_a_stream_whose_client_hung_up_is_kept(
    visitor: Visitor, marks: list[str], place: str, reset: bool
) -> None:
    visitor.hang_up(f"/{place}?mark=now", b"changed,", reset=reset)
    assert poll_until(lambda: visitor.read() == changed([*marks, "now"]), seconds=10)


def test_a_change_in_a_websocket_is_there_before_it_ends(
    visitor: Visitor, marks: list[str], kind: str
) -> None:
    if kind == "granian" and not marks:
        visitor.turn("endpoint", "before")  # granian sends no headers with the handshake
        marks = ["before"]
    with visitor.socket() as websocket:
        websocket.send("one")
        assert websocket.recv() == "changed,"
        websocket.send("read")
        websocket.recv()
        assert visitor.read() == changed([*marks, "one"])
        websocket.send("two")
        assert websocket.recv() == "changed,"
    assert poll_until(lambda: visitor.read() == changed([*marks, "one", "two"]), seconds=10)


def test_a_reply_that_was_cut_off_is_kept_and_marked(visitor: Visitor, marks: list[str]) -> None:
    visitor.hang_up("/reply?mark=hello&hold=true", b"day,")
    cut_off = {
        "role": "assistant", "content": "Good day,", "model": "test", "interrupted": True,
    }  # fmt: skip
    asked = {"role": "user", "content": "hello"}
    expected = [*changed_messages(marks), asked, cut_off]
    assert poll_until(lambda: visitor.read()["messages"] == expected, seconds=10)


def test_a_reply_that_ended_is_one_message_without_a_mark(visitor: Visitor) -> None:
    visitor.ask("POST", "/reply?mark=hello&hold=false")
    answer = {"role": "assistant", "content": "Good day,", "model": "test"}
    assert visitor.read() == {
        "state": {},
        "messages": [{"role": "user", "content": "hello"}, answer],
    }


def test_a_plain_asgi_app_may_change_after_the_hang_up(
    kind: str, shared_servers: GetServer, visit: Visit, valkey: RedisServer
) -> None:
    visitor = visit(shared_servers(kind, "other_apps:raw_app"))
    visitor.hang_up("/held?mark=now", b"changed,")
    assert poll_until(lambda: visitor.read() == changed(["now"]), seconds=10)
