"""`jv-session-mw redis start | status | stop`: the arguments and the output around `valkey`."""

import argparse
from pathlib import Path

from jv_session_mw.cli import valkey
from jv_session_mw.cli.actions import add_action
from jv_session_mw.cli.server import RunningServer


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_subparsers(required=True, metavar="ACTION").add_parser
    start = add_action(add, "start", "start it, unless it is running already", _start)
    start.add_argument(
        "--port", type=int, help=f"a port of 127.0.0.1 (default: {valkey.DEFAULT_PORT})"
    )
    status = add_action(add, "status", "say where it is running; status 1 if it is not", _status)
    stop = add_action(add, "stop", "stop it, and wait for its end; its data stay", _stop)
    for action in (start, status, stop):
        action.add_argument(
            "--directory",
            type=Path,
            help="where its data, log and pid are"
            " (default: jv-session-mw/redis in $XDG_STATE_HOME or ~/.local/state)",
        )


def _start(arguments: argparse.Namespace) -> int:
    before = valkey.status(arguments.directory)
    server = valkey.start(arguments.directory, arguments.port)
    print(_describe(server, "was running already" if before == server else "is running"))
    print(f"To use it:  export REDIS_URL={server.url}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    server = valkey.status(arguments.directory)
    if server is None:
        print("not running; to start it: jv-session-mw redis start")
        return 1
    print(_describe(server, "is running"))
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    server = valkey.stop(arguments.directory)
    print("not running" if server is None else _describe(server, "has stopped; it was running"))
    return 0


def _describe(server: RunningServer, what: str) -> str:
    return f"{server.version} {what} at {server.url} (pid {server.pid}, data in {server.directory})"
