"""The actions of a command, such as `redis start`: how they are declared and run."""

import argparse
from collections.abc import Callable

Action = Callable[[argparse.Namespace], int]


def add_action(
    add_parser: Callable[..., argparse.ArgumentParser], name: str, text: str, action: Action
) -> argparse.ArgumentParser:
    """Declare one action; *text* is its help and, as a sentence, its description."""
    parser = add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(action=action)
    return parser


def run_action(arguments: argparse.Namespace) -> int:
    """Run the action that was asked for, and return its exit status."""
    action: Action = arguments.action
    return action(arguments)
