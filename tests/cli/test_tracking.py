"""`jv-session-mw tracking` against a real database: what it says, and what it leaves behind."""

import asyncio
import subprocess
import sys

import asyncpg
import pytest

from jv_session_mw.cli import main
from tests.gateway import Gateway, Refusal, key_of
from tests.postgres import DATABASE, PostgresServer
from tests.projects import Database


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "SUPABASE_ANON_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A project whose variables are set."""
    monkeypatch.setenv("SUPABASE_URL", gateway.url)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", key_of("service_role"))
    return gateway


async def check() -> int:
    return await asyncio.to_thread(main, ["tracking", "check"])


async def test_a_good_project_passes_ten_trials_and_keeps_nothing(
    project: Gateway,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await check() == 0
    report = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in report[:10]] == ["ok"] * 10
    assert report[10].startswith("note  whether the anonymous role")
    monkeypatch.setenv("SUPABASE_ANON_KEY", key_of("anon"))
    assert await check() == 0
    report = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in report] == ["ok"] * 11
    assert await database.fetchval("select count(*) from public.chat_sessions") == 0
    assert project.calls["chat_sessions_apply"] >= 4


async def test_an_environment_without_a_project_says_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await check() == 1
    assert "FIX   SUPABASE_URL is not set" in capsys.readouterr().out


async def test_a_project_without_the_migrations_is_told_how_to_get_them(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    administration = await asyncpg.connect(postgres.url("postgres"))
    await administration.execute("drop database if exists bare")
    await administration.execute("create database bare")
    await administration.close()
    connection = await asyncpg.connect(postgres.url("bare"))
    await connection.execute(DATABASE)
    await connection.close()
    async with Gateway(postgres.url("bare", "authenticator")).open() as gateway:
        monkeypatch.setenv("SUPABASE_URL", gateway.url)
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", key_of("service_role"))
        assert await check() == 1
    report = capsys.readouterr().out
    assert "FIX   not so: the project answers" in report
    assert "tracking migrate --print | psql" in report


@pytest.mark.parametrize("key", [key_of("anon"), "no-key"])
async def test_a_wrong_key_is_told_apart_and_never_shown(
    project: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", key)
    assert await check() == 1
    report = capsys.readouterr().out
    assert "see the project's API keys" in report
    assert key not in report
    assert project.url


async def test_a_project_that_is_away_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "key")
    assert await check() == 1
    printed = capsys.readouterr()
    assert "let SUPABASE_URL be the project's URL" in printed.out
    assert "Traceback" not in printed.out + printed.err


async def test_a_role_that_may_too_much_is_a_failure(
    project: Gateway,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SUPABASE_ANON_KEY", key_of("anon"))
    await database.execute("grant execute on function public.chat_session_get to anon, public")
    await database.execute("grant execute on function public.chat_session_answer to anon, public")
    await database.execute("grant select on public.chat_sessions to anon")
    try:
        assert await check() == 1
    finally:
        await database.execute("revoke select on public.chat_sessions from anon")
        for function in ("chat_session_get", "chat_session_answer"):
            await database.execute(
                f"revoke execute on function public.{function} from anon, public"
            )
    assert "FIX   the anonymous role may call the functions" in capsys.readouterr().out


@pytest.mark.parametrize("function", ["chat_sessions_apply", "chat_session_transition"])
async def test_a_database_that_does_something_else_is_found_out(
    project: Gateway, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    project.interfere = lambda request: (
        Refusal(500, "XX000", "bug").response() if request.url.path.endswith(function) else None
    )
    assert await check() == 1
    assert "FIX   not so:" in capsys.readouterr().out


def test_the_sql_is_printed_as_it_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tracking", "migrate", "--print"]) == 0
    printed = capsys.readouterr().out
    assert "create table if not exists public.chat_sessions" in printed
    assert printed.rstrip().endswith("notify pgrst, 'reload schema';")


def test_without_the_extra_the_command_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['supabase'] = None; sys.modules['httpx'] = None\n"
        "from jv_session_mw.cli import main; sys.exit(main(['tracking', 'check']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'jv-session-mw[supabase]'" in done.stdout
    assert "Traceback" not in done.stderr
