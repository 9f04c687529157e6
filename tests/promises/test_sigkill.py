"""Promise: with checkpoints, even SIGKILL loses no more of a stream than the last moments."""

from typing import cast

import pytest

from jv_session_mw.cli.processes import poll_until
from tests.promises.conftest import StartServer, Visit
from tests.promises.database import Database
from tests.promises.serving import KINDS
from tests.servers import RedisServer

CHECKPOINTS = "apps:fastapi_app_with_checkpoints"


@pytest.mark.parametrize("kind", KINDS)
def test_the_partial_answer_of_a_killed_server_is_stored(
    start_server: StartServer, visit: Visit, valkey: RedisServer, database: Database, kind: str
) -> None:
    server = start_server(kind, valkey, factory=CHECKPOINTS)
    visitor = visit(server)
    with visitor.streaming("/reply?mark=hello&hold=true", b"day,"):
        assert poll_until(lambda: b"day," in last_message(database), seconds=20)
        server.kill()
    after = visit(start_server("uvicorn-h11", valkey))
    after.ticket.token = visitor.ticket.token
    partial = {"role": "assistant", "model": "test", "content": "Good day,", "interrupted": True}
    assert after.read() == {
        "state": {},
        "messages": [{"role": "user", "content": "hello"}, partial],
    }


def last_message(database: Database) -> bytes:
    logs = [name for name in database.names() if name.endswith(":m")]
    return cast("bytes", database.do("LINDEX", logs[0], -1)) if logs else b""
