"""What a compiler of Python gets wrong is not in the modules that are compiled for a wheel."""

import ast
import importlib
import os
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HOOK = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
MODULES: list[str] = HOOK["compile"]
SUSPENDING = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)

pytestmark = pytest.mark.parametrize("module", MODULES)


def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / "jv_session_mw" / f"{module}.py").read_text("utf-8"))


def test_nothing_waits(module: str) -> None:
    # What is being handled belongs to the thread there, not to the coroutine: a `raise` after an
    # `await` raises what another task has caught meanwhile. And what is thrown in is passed on in
    # a way that Python 3.12 warns of, which is an error where warnings are.
    waiting = [node.lineno for node in ast.walk(tree_of(module)) if isinstance(node, SUSPENDING)]
    assert waiting == []


def test_nothing_calls_itself(module: str) -> None:
    # There is no limit to it but the end of the stack, which ends the process.
    for parent in ast.walk(tree_of(module)):
        for function in ast.iter_child_nodes(parent):
            if isinstance(function, ast.FunctionDef):
                itself = "self." * isinstance(parent, ast.ClassDef) + function.name
                calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
                assert itself not in {ast.unparse(call.func) for call in calls}


def test_nothing_is_raised_from_a_cause(module: str) -> None:
    # What comes after `from` is dropped: `caused` keeps it.
    raises = (node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Raise))
    assert [node.lineno for node in raises if node.cause is not None] == []


def test_no_text_has_a_format(module: str) -> None:
    # One part with a format lets every part of its f-string be made by `str.format`, for five times
    # the price of the whole.
    parts = (node for node in ast.walk(tree_of(module)) if isinstance(node, ast.FormattedValue))
    assert [part.lineno for part in parts if part.format_spec or part.conversion != -1] == []


def test_no_struct_has_options(module: str) -> None:
    # They are dropped, and what is frozen is so no more.
    for kind in ast.walk(tree_of(module)):
        assert not (isinstance(kind, ast.ClassDef) and kind.keywords)


def test_it_runs_compiled_where_it_should_be(module: str) -> None:
    loaded = importlib.import_module(f"jv_session_mw.{module.replace('/', '.')}")
    assert loaded.__file__ is not None
    assert loaded.__file__.endswith(".py") == ("JV_SESSION_COMPILED" not in os.environ)
