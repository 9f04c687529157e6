"""`jv-session-mw tracking migrate | check`: the database of the chat sessions."""

import argparse
import asyncio
import logging
from collections.abc import Callable

from jv_session_mw.cli.findings import report
from jv_session_mw.cli.tracking_check import findings
from jv_session_mw.tracking.migrations import migrations

Action = Callable[[argparse.Namespace], int]


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    migrate = _add(
        actions.add_parser, "migrate", "show the SQL that a project's database needs", _migrate
    )
    migrate.add_argument(
        "--print", action="store_true", required=True, help="print it, for psql or the Supabase CLI"
    )
    text = "use the project as the application would, and say what is right"
    _add(actions.add_parser, "check", text, _check)


def _add(
    add_parser: Callable[..., argparse.ArgumentParser], name: str, text: str, action: Action
) -> argparse.ArgumentParser:
    parser = add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(action=action)
    return parser


def run(arguments: argparse.Namespace) -> int:
    action: Action = arguments.action
    return action(arguments)


def _migrate(_arguments: argparse.Namespace) -> int:
    for name, sql in migrations():
        print(f"-- {name}\n{sql}", end="")
    return 0


def _check(_arguments: argparse.Namespace) -> int:
    logging.getLogger("jv_session_mw").addHandler(logging.NullHandler())
    return report(asyncio.run(findings()))
