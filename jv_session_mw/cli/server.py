"""A server on a port of this machine: what it is, and whether it answers."""

import socket
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
LOG = "server.log"
ANSWER_SECONDS = 2.0
START_SECONDS = 30.0  # a big append-only file is loaded before the first PING is answered


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that has answered. `version` is for people: `Valkey 9.0.1`, `Redis 7.0.15`."""

    pid: int
    port: int
    directory: Path
    version: str

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"


def inspect(port: int, directory: Path) -> RunningServer | None:
    """Return the server that answers at this port, or None when none does.

    Raises `TimeoutError` when something accepts the connection and says nothing.
    """
    try:
        answer = ask(port, "INFO server")
    except TimeoutError:
        raise
    except OSError:
        return None
    facts = dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)
    if "process_id" not in facts:
        return None
    if valkey_version := facts.get("valkey_version"):
        version = f"Valkey {valkey_version}"
    else:
        version = f"Redis {facts['redis_version']}"
    return RunningServer(int(facts["process_id"]), port, directory, version)


def ask(port: int, command: str) -> str:
    """Send one inline command and return the text of its answer; raises `OSError` if none comes.

    Without the client library: its pools, retries and handshakes are in the way when the question
    is whether anything is there at all.
    """
    with (
        socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as connection,
        connection.makefile("rwb") as stream,
    ):
        stream.write(f"{command}\r\n".encode())
        stream.flush()
        head = stream.readline().decode(errors="replace").strip()
        if head.startswith("$") and head[1:].isdigit():
            return stream.read(int(head[1:])).decode(errors="replace")
        return head


def answers(port: int) -> bool:
    """Return whether a server at this port is ready; one that still loads its data is not."""
    try:
        return ask(port, "PING") == "+PONG"
    except OSError:
        return False


def free_port() -> int:
    """Return a port that is free now; nothing reserves it."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def end_of_log(directory: Path) -> str:
    """Return what the server said last, for an error message."""
    log = directory / LOG
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "it wrote no log"
    return "\n".join([f"the end of {log}:", *lines[-5:]])
