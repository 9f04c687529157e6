"""`jv-session-mw tracking migrate | check`: the database of the chat sessions."""

import argparse
import asyncio
import logging

from jv_session_mw.cli.actions import add_action
from jv_session_mw.cli.findings import report
from jv_session_mw.cli.tracking_check import findings
from jv_session_mw.tracking.migrations import migrations


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_subparsers(required=True, metavar="ACTION").add_parser
    migrate = add_action(add, "migrate", "show the SQL that a project's database needs", _migrate)
    migrate.add_argument(
        "--print", action="store_true", required=True, help="print it, for psql or the Supabase CLI"
    )
    text = "use the project as the application would, and say what is right"
    add_action(add, "check", text, _check)


def _migrate(_arguments: argparse.Namespace) -> int:
    for name, sql in migrations():
        print(f"-- {name}\n{sql}", end="")
    return 0


def _check(_arguments: argparse.Namespace) -> int:
    logging.getLogger("jv_session_mw").addHandler(logging.NullHandler())
    return report(asyncio.run(findings()))
