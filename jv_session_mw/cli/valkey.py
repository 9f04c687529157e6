"""A real Valkey in the background, for development.

It listens on 127.0.0.1 only and has no password. Its data, log, pid and port live in one directory;
`start`, `status` and `stop` know it by that directory.
"""

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from jv_session_mw.cli.binary import find_server
from jv_session_mw.cli.processes import has_ended, poll_until
from jv_session_mw.cli.server import (
    HOST,
    LOG,
    START_SECONDS,
    RunningServer,
    answers,
    end_of_log,
    inspect,
)
from jv_session_mw.errors import ConfigurationError, SessionError

DEFAULT_PORT = 6379
STOP_SECONDS = 30.0


def default_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the background server lives, by the XDG rule for state that should persist."""
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "jv-session-mw" / "redis"


def start(directory: Path | None = None, port: int | None = None) -> RunningServer:
    """Start a server in the background and return when it answers; its data survive a restart.

    A server that runs already is returned as it is. *port* defaults to 6379. Raises
    `ConfigurationError` when the port is taken or the running server has another, when the
    directory cannot be used, or when no server is installed; `SessionError`, with the end of its
    log, when the server does not start.
    """
    directory = (directory or default_directory()).absolute()
    _make(directory)
    with _locked(directory):
        if running := status(directory):
            return _on_port(running, port)
        port = DEFAULT_PORT if port is None else port
        _refuse_taken(port)
        _launch(directory, port)
        (directory / "port").write_text(f"{port}\n")
        poll_until(lambda: answers(port) or _has_died(directory), seconds=START_SECONDS)
        if not answers(port):
            raise SessionError(f"the server did not start: {end_of_log(directory)}")
        if running := status(directory):
            return running
        raise SessionError(f"another server took port {port} meanwhile: choose another --port")


def status(directory: Path | None = None) -> RunningServer | None:
    """Return the server that was started in this directory, or None when it is not running.

    A pid alone proves nothing, as pids are used again: the server at the port must say that it is
    its own. Raises `SessionError` when something is there that does not answer.
    """
    directory = (directory or default_directory()).absolute()
    pid, port = _number(directory / "pid"), _number(directory / "port")
    if pid is None or port is None or has_ended(pid):
        return None
    try:
        server = inspect(port, directory)
    except TimeoutError as error:
        raise SessionError(
            f"the server at {HOST}:{port} does not answer; if process {pid} is it: kill -9 {pid}"
        ) from error
    return server if server and server.pid == pid else None


def stop(directory: Path | None = None) -> RunningServer | None:
    """Stop the server of this directory and return it, or None if none was running.

    Returns when the process has ended and everything is on disk. A process is signalled only
    after `status` has identified it. Raises `SessionError` when it has not ended after 30 seconds.
    """
    directory = (directory or default_directory()).absolute()
    if not os.path.isdir(directory):  # unlike Path.is_dir, False if the parent is out of reach
        return None
    with _locked(directory):
        server = status(directory)
        if server is None:
            return None
        os.kill(server.pid, signal.SIGTERM)
        if not poll_until(lambda: has_ended(server.pid), seconds=STOP_SECONDS):
            raise SessionError(f"process {server.pid} has not ended after {STOP_SECONDS:.0f} s")
        (directory / "port").unlink()
        return server


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"--directory {directory} cannot be made: {error}") from error


@contextmanager
def _locked(directory: Path) -> Generator[None]:
    # Two servers on one directory would destroy its append-only file.
    try:
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise _unusable(directory, error) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unusable(directory: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"--directory {directory} cannot be used: {error.strerror}")


def _on_port(running: RunningServer, port: int | None) -> RunningServer:
    if port in (None, running.port):
        return running
    raise ConfigurationError(
        f"it is running already, at port {running.port}: stop it before starting it at port {port}"
    )


def _refuse_taken(port: int) -> None:
    if not 0 < port < 65536:
        raise ConfigurationError(f"--port is {port}: give a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            advice = f"; a Redis answers there: REDIS_URL=redis://{HOST}:{port}"
            raise ConfigurationError(
                f"port {port} of {HOST} cannot be used ({error.strerror})"
                f"{advice if answers(port) else ''}; or choose another --port"
            ) from error


def _launch(directory: Path, port: int) -> None:
    files = {"pidfile": directory / "pid", "logfile": directory / LOG, "dir": directory}
    for name in ("pid", "port", LOG):
        with suppress(FileNotFoundError):
            (directory / name).unlink()
    command: list[str | Path] = [find_server(), "--daemonize", "yes", "--bind", HOST]
    command += ["--port", str(port), "--appendonly", "yes", "--save", ""]
    for option, path in files.items():
        command += [f"--{option}", path]
    launched = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if launched.returncode != 0:
        said = (launched.stderr or launched.stdout).strip()
        raise SessionError(f"the server did not start: {said}")


def _has_died(directory: Path) -> bool:
    pid = _number(directory / "pid")  # written by the server itself, soon after its start
    return pid is not None and has_ended(pid)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:  # the file of another user, or no directory at all
        raise _unusable(path.parent, error) from error
