"""A server that keeps nothing and ends with its block: for the demo and for tests."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from jv_session_mw.cli.binary import find_server
from jv_session_mw.cli.processes import GuardedProcess, poll_until
from jv_session_mw.cli.server import (
    HOST,
    LOG,
    START_SECONDS,
    RunningServer,
    answers,
    end_of_log,
    free_port,
    inspect,
)
from jv_session_mw.errors import SessionError


@contextmanager
def ephemeral(binary: Path | None = None) -> Generator[RunningServer]:
    """Run a server on a free port for the length of a `with` block; it keeps nothing.

    It ends with the block, even when this process is killed. *binary* defaults to the server that
    `find_server` returns. Raises `ConfigurationError` when none is installed, and `SessionError`
    when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="jv-session-mw-") as name:
        directory, port = Path(name), free_port()
        process = spawn(binary or find_server(), directory, port)
        try:
            server = inspect(port, directory)
            if server is None:
                raise SessionError(f"the server has ended: {end_of_log(directory)}")
            yield server
        finally:
            process.end()


def spawn(binary: Path, directory: Path, port: int, *options: str) -> GuardedProcess:
    """Start a server that keeps nothing, and return its process when it answers.

    *options* are passed to the server. Raises `SessionError`, with the end of its log, when it ends
    or does not answer, as when the port was taken meanwhile.
    """
    command = (binary, "--bind", HOST, "--port", str(port), "--dir", directory, "--save", "")
    process = GuardedProcess([*command, *options], directory / LOG)

    def settled() -> bool:
        return not process.running or _is_ready(process.pid, port, directory)

    if poll_until(settled, seconds=START_SECONDS) and process.running:
        return process
    process.end()
    raise SessionError(f"the server did not start: {end_of_log(directory)}")


def _is_ready(pid: int, port: int, directory: Path) -> bool:
    if not answers(port):
        return False
    server = inspect(port, directory)
    return server is not None and server.pid == pid
