"""Real ASGI servers: as processes of their own on free ports, or in the test's own event loop."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from jv_session_mw.cli.processes import poll_until
from jv_session_mw.cli.server import HOST, free_port

KINDS = ("uvicorn-h11", "uvicorn-httptools", "hypercorn", "granian")
ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0
END_SECONDS = 20.0


# The reader sees the end of our pipe however we come to our end, and takes the server and its
# workers with it: all of them are in the guard's own process group.
_GUARD = """
log=$1; shift
exec 3<&0
"$@" 3<&- >"$log" 2>&1 & server=$!
echo $server
{ read -r _ <&3; kill -9 0; } >&2 & reader=$!
wait $server; status=$?
kill -9 $reader
exit $status
"""


class WebServer:
    """One server process around an app factory, such as `apps:fastapi_app` of `tests.promises`.

    It cannot outlive this process.
    """

    def __init__(self, kind: str, factory: str, environ: Mapping[str, str], *options: str) -> None:
        self.kind = kind
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="jv-session-mw-test-")
        self._log = Path(self._directory.name) / "server.log"
        target = factory if factory.startswith("tests.") else f"tests.promises.{factory}"
        command = _command(kind, target, self.port)
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", self._log, sys.executable, "-m", *command, *options],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        assert self._guard.stdout is not None
        with self._guard.stdout as stdout:
            self._pid = int(stdout.readline())

    def __repr__(self) -> str:
        return f"<WebServer {self.kind} at {HOST}:{self.port}>"

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Return when it accepts connections; fail with its log when it ends instead."""
        self.settle()
        assert self.running, self.log

    def settle(self) -> None:
        """Return when it accepts connections or has ended."""
        assert poll_until(lambda: not self.running or self._accepts(), seconds=START_SECONDS)

    def terminate(self) -> None:
        """Ask it to end with SIGTERM, as a deployment does; `wait()` waits for that."""
        os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and its workers with SIGKILL, at once."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def wait(self) -> int:
        """Wait until it has ended, and return its exit status."""
        return self._guard.wait(END_SECONDS)

    def close(self) -> None:
        """End it and its workers for good."""
        assert self._guard.stdin is not None
        if self.running and not self._guard.stdin.closed:
            self.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.wait()
        self._guard.stdin.close()
        self._guard.wait()
        self._directory.cleanup()

    def _accepts(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _command(kind: str, target: str, port: int) -> list[str]:
    address = ["--host", HOST, "--port", str(port)]
    if kind == "hypercorn":
        return ["hypercorn", f"{target}()", "--bind", f"{HOST}:{port}", "--workers", "0"]
    if kind == "granian":
        return ["granian", target, "--factory", "--interface", "asgi", *address]
    http = kind.removeprefix("uvicorn-")
    return ["uvicorn", target, "--factory", "--http", http, "--log-level", "warning", *address]


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve *app* by uvicorn in this event loop for the length of a block, and give its URL."""
    # asyncio turns Nagle's algorithm off only where it sees that the protocol is TCP.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind((HOST, 0))
        config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            await eventually(lambda: server.started or task.done())
            assert server.started, "the server has ended instead of starting"
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def eventually(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait until *condition* is true; fail when it does not become so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # many conditions have no event
            await asyncio.sleep(0.005)
