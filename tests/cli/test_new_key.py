"""`jv-session-mw new-key`, as a shell runs it."""

import subprocess
import sys
from pathlib import Path

from jv_session_mw.settings import Settings

COMMAND = Path(sys.executable).with_name("jv-session-mw")


def new_key() -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "new-key"], capture_output=True, text=True, check=True)


def test_stdout_is_the_key_alone() -> None:
    key = new_key().stdout
    assert key.endswith("\n")
    assert len(key.strip()) == 43  # 32 bytes in URL-safe base64 without padding


def test_each_key_is_new() -> None:
    assert new_key().stdout != new_key().stdout


def test_stderr_says_where_it_belongs() -> None:
    assert "export JV_SESSION_SECRET_KEYS=" in new_key().stderr


def test_two_keys_are_read_as_the_advice_says() -> None:
    newest, old = new_key().stdout.strip(), new_key().stdout.strip()
    settings = Settings.from_env({"JV_SESSION_SECRET_KEYS": f"{newest},{old}"})
    assert settings.secret_keys == (newest, old)
