"""The command `jv-session-mw`: its subcommands, and what each of them runs."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jv_session_mw.cli import check, new_key, redis, tracking
from jv_session_mw.cli.actions import run_action
from jv_session_mw.errors import SessionError


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: `configure` declares its arguments, `run` returns the exit status."""

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS = (
    Command("redis", "run a real Valkey in the background", redis.configure, run_action),
    Command(
        "check", "connect as the application would, and say what to do", check.configure, check.run
    ),
    Command(
        "tracking", "set up and check the list of chat sessions", tracking.configure, run_action
    ),
    Command("new-key", "make a key that signs tokens", new_key.configure, new_key.run),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status.

    An error of this package becomes one line on stderr and status 1: its message already says what
    to do. So does an error of the system, such as a full disk, or output that nobody reads any
    more. Anything else is a bug and keeps its traceback. Wrong arguments exit with 2.
    """
    arguments = _parser().parse_args(argv)
    command: Command = arguments.command
    try:
        status = command.run(arguments)
        print(end="", flush=True)  # here, where a failure is one line
        return status
    except SessionError as error:
        print(f"jv-session-mw: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"jv-session-mw: {error.strerror or error}", file=sys.stderr)
        _give_up_output()
        return 1
    except KeyboardInterrupt:
        return 130


def _give_up_output() -> None:
    """Drop the rest of the output: the interpreter would fail to write it when it exits.

    Source: Python, "Note on SIGPIPE", https://docs.python.org/3/library/signal.html.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jv-session-mw", description="Tools for a chat backend that uses jv-session-mw."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
        )
        subparser.set_defaults(command=command)
        command.configure(subparser)
    return parser
