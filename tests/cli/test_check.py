"""`jv-session-mw check` against real servers: what it says, and what it advises."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from jv_session_mw.cli import main
from jv_session_mw.cli.check import is_too_old
from jv_session_mw.cli.processes import poll_until
from tests.servers import RedisServer

KEY = "k" * 43
SETTINGS = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JV_SESSION_SECRET_KEYS", KEY)


def test_a_good_environment_is_said_to_be_good_and_nothing_stays_behind(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    assert main(["check"]) == 0
    report = capsys.readouterr().out
    assert "loads, saves and deletes" in report
    assert "FIX" not in report
    assert ("runs compiled" in report) == ("JV_SESSION_COMPILED" in os.environ)
    with Redis(port=redis_server.port) as client:
        left = cast("list[bytes]", client.keys())  # pyright: ignore[reportUnknownMemberType]
    assert [name for name in left if not name.endswith(b":d")] == []  # the tombstone expires


def test_a_missing_key_is_named_with_the_command_that_makes_one(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.delenv("JV_SESSION_SECRET_KEYS")
    assert main(["check"]) == 1
    report = capsys.readouterr().out
    assert "JV_SESSION_SECRET_KEYS" in report
    assert "jv-session-mw new-key" in report


def test_a_server_that_is_away_is_named_without_a_traceback(
    own_valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own_valkey.kill()
    monkeypatch.setenv("REDIS_URL", own_valkey.url)
    assert main(["check"]) == 1
    printed = capsys.readouterr()
    assert "jv-session-mw redis start" in printed.out
    assert "Traceback" not in printed.out + printed.err


def test_a_wrong_password_is_told_apart_and_never_shown(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:hunter2@127.0.0.1:{valkey.port}/0")
    assert main(["check"]) == 1
    printed = capsys.readouterr()
    assert "give the right user and password" in printed.out
    assert "hunter2" not in printed.out + printed.err


def test_a_bad_url_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", "http://localhost")
    assert main(["check"]) == 1
    assert "REDIS_URL" in capsys.readouterr().err


def test_a_node_of_a_cluster_is_told_apart_from_a_single_server(
    new_valkey: Callable[..., RedisServer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node = new_valkey(options=("--cluster-enabled", "yes"))
    node.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    assert poll_until(lambda: "cluster_state:ok" in node.do("CLUSTER", "INFO"), seconds=20)
    for scheme, status in (("redis", 1), ("redis+cluster", 0)):
        monkeypatch.setenv("REDIS_URL", f"{scheme}://127.0.0.1:{node.port}")
        assert main(["check"]) == status
        assert ("redis+cluster://host" in capsys.readouterr().out) == (status == 1)


def test_a_user_with_the_rights_of_the_docs_is_good_enough(
    own_valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = SETTINGS.read_text().partition("A user of an ACL needs")[2].partition("With ")[0]
    rights = re.findall(r"\+[a-z|]+", told)
    own_valkey.do("ACL", "SETUSER", "app", "on", ">secret", "~conv:*", *rights)
    monkeypatch.setenv("REDIS_URL", f"redis://app:secret@127.0.0.1:{own_valkey.port}/0")
    assert main(["check"]) == 0
    report = capsys.readouterr().out
    assert "loads, saves and deletes" in report
    assert "the user may not run INFO" in report


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("6.2.19", False), ("7.4.0-v1", False), ("7.x", False), ("10.0", False), ("8", False),
        ("7.2rc1", False), ("unstable", False), ("6.x", False), ("", False),
        ("6.0.16", True), ("5", True), ("5.x", True), ("2.8.24", True),
    ],
)  # fmt: skip
def test_only_a_version_that_is_surely_too_old_is_refused(version: str, old: bool) -> None:
    assert is_too_old(version) is old
