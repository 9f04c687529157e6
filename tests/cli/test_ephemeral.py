"""Throw-away servers, which no end of their owner leaves behind."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jv_session_mw.cli.ephemeral import ephemeral
from jv_session_mw.cli.processes import has_ended, poll_until
from jv_session_mw.cli.server import ask, inspect
from jv_session_mw.errors import SessionError


@contextmanager
def owner_of_an_ephemeral_server(
    body: str,
) -> Generator[tuple[subprocess.Popen[str], int, int]]:
    """Run `body` inside the block of another process; give that process, the pid and the port.

    The body calls `announce()` when it is ready for what the test does to it. Ctrl-C ends that
    process also where these tests ignore it, as what a shell runs in the background does.
    """
    script = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from jv_session_mw.cli.server import ask\n"
        "from jv_session_mw.cli.ephemeral import ephemeral\n"
        "with ephemeral() as server:\n"
        "    def announce(): print(server.pid, server.port, flush=True)\n"
    ) + textwrap.indent(body, "    ")
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as owner:
        assert owner.stdout is not None
        pid, port = map(int, owner.stdout.readline().split())
        yield owner, pid, port


def test_an_ephemeral_server_ends_with_its_block() -> None:
    with ephemeral() as server:
        assert inspect(server.port, server.directory) == server
        assert ask(server.port, "SET key value") == "+OK"
    assert has_ended(server.pid)
    assert not server.directory.exists()


def test_an_ephemeral_server_ends_when_its_owner_is_killed() -> None:
    with owner_of_an_ephemeral_server("announce(); input()") as (owner, pid, port):
        owner.kill()
        assert poll_until(lambda: has_ended(pid), seconds=5)
        with pytest.raises(ConnectionRefusedError):
            ask(port, "PING")


def test_ctrl_c_reaches_the_owner_and_not_its_server() -> None:
    last_act = """
try:
    announce()
    while True:  # a signal that comes just before a read() would not end it
        time.sleep(0.01)
except KeyboardInterrupt:
    print(ask(server.port, "PING"), flush=True)
"""
    with owner_of_an_ephemeral_server(last_act) as (owner, pid, _):
        os.killpg(owner.pid, signal.SIGINT)
        assert owner.stdout is not None
        assert owner.stdout.readline() == "+PONG\n"
        assert owner.wait(timeout=5) == 0
        assert has_ended(pid)


def test_an_ephemeral_server_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(SessionError, match="did not start"),
        ephemeral(Path("/bin/false")),
    ):
        pass
