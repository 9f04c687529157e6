"""Real servers in the background: started, found again, stopped, and never mistaken for others."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from jv_session_mw.cli import main
from jv_session_mw.cli import valkey as background
from jv_session_mw.cli.processes import has_ended, poll_until
from jv_session_mw.cli.server import ask, free_port
from jv_session_mw.errors import ConfigurationError, SessionError
from tests.servers import RedisServer

COMMAND = Path(sys.executable).with_name("jv-session-mw")


@pytest.fixture
def directory(tmp_path: Path) -> Generator[Path]:
    """Where a server may be started; with a space, as home directories have."""
    path = tmp_path / "state of redis"
    yield path
    background.stop(path)


@pytest.fixture
def stranger() -> Generator[subprocess.Popen[bytes]]:
    """A process that is not ours to end."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def pretend_started(directory: Path, *, pid: int, port: int) -> None:
    directory.mkdir()
    (directory / "pid").write_text(f"{pid}\n")
    (directory / "port").write_text(f"{port}\n")


def test_data_survive_a_stop_and_a_start(directory: Path) -> None:
    port = free_port()
    first = background.start(directory, port)
    assert ask(port, "SET key value") == "+OK"
    assert background.stop(directory) == first

    second = background.start(directory, port)
    assert second.pid != first.pid
    assert ask(port, "GET key") == "value"


def test_data_survive_a_crash(directory: Path) -> None:
    port = free_port()
    crashed = background.start(directory, port)
    ask(port, "SET key value")
    os.kill(crashed.pid, signal.SIGKILL)
    assert poll_until(lambda: has_ended(crashed.pid), seconds=5)
    assert background.status(directory) is None

    background.start(directory, port)
    assert ask(port, "GET key") == "value"


def test_start_returns_the_server_that_runs_already(directory: Path) -> None:
    first = background.start(directory, free_port())
    assert background.start(directory) == first
    assert background.start(directory, first.port) == first
    assert background.status(directory) == first


def test_start_does_not_move_a_running_server(directory: Path) -> None:
    server = background.start(directory, free_port())
    with pytest.raises(ConfigurationError, match=f"at port {server.port}: stop it"):
        background.start(directory, free_port())
    assert background.status(directory) == server


def test_stop_returns_when_the_process_has_ended(directory: Path) -> None:
    server = background.start(directory, free_port())
    background.stop(directory)
    assert has_ended(server.pid)
    assert background.status(directory) is None
    assert background.stop(directory) is None


def test_stop_and_status_of_what_was_never_started_leave_nothing(directory: Path) -> None:
    assert background.status(directory) is None
    assert background.stop(directory) is None
    assert not directory.exists()


def test_it_listens_on_this_machine_only(directory: Path) -> None:
    server = background.start(directory, free_port())
    assert ask(server.port, "CONFIG GET bind").startswith("*")  # an array follows
    with socket.socket() as other_address, pytest.raises(ConnectionRefusedError):
        other_address.connect(("127.0.0.2", server.port))


def test_a_port_in_use_is_refused_with_the_address_of_what_answers(
    directory: Path, valkey: RedisServer
) -> None:
    with pytest.raises(ConfigurationError, match=f"REDIS_URL={valkey.url}"):
        background.start(directory, valkey.port)
    assert background.status(directory) is None


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_an_impossible_port_is_refused(directory: Path, port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"--port is {port}"):
        background.start(directory, port)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--directory"):
        background.start(tmp_path / "file" / "below", free_port())


@pytest.mark.parametrize("action", ["start", "status"])
def test_what_is_no_directory_is_refused_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    (tmp_path / "file").touch()
    assert main(["redis", action, "--directory", str(tmp_path / "file")]) == 1
    says = f"--directory {tmp_path / 'file'} cannot be used: Not a directory"
    assert capsys.readouterr().err == f"jv-session-mw: {says}\n"


def test_a_lock_that_cannot_be_had_is_refused(directory: Path) -> None:
    (directory / "lock").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="--directory"):
        background.start(directory, free_port())
    (directory / "lock").rmdir()


def test_a_server_that_does_not_come_up_says_why(directory: Path) -> None:
    (directory / "appendonlydir").mkdir(parents=True)
    (directory / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(SessionError, match=r"(?s)did not start.*manifest"):
        background.start(directory, free_port())


def test_the_pid_of_another_process_is_never_ended(
    directory: Path, stranger: subprocess.Popen[bytes]
) -> None:
    pretend_started(directory, pid=stranger.pid, port=free_port())
    assert background.status(directory) is None
    assert background.stop(directory) is None
    assert stranger.poll() is None


def test_another_server_at_the_remembered_port_is_not_ours(
    directory: Path, stranger: subprocess.Popen[bytes], valkey: RedisServer
) -> None:
    pretend_started(directory, pid=stranger.pid, port=valkey.port)
    assert background.status(directory) is None
    assert background.stop(directory) is None
    assert stranger.poll() is None
    assert valkey.ask("PING") == "+PONG"


@pytest.mark.parametrize("content", ["", "none", "0", "-1", "999999999", "9" * 30])
def test_a_pid_file_that_means_nothing_does_not_hinder_a_start(
    directory: Path, content: str
) -> None:
    port = free_port()
    pretend_started(directory, pid=0, port=port)
    (directory / "pid").write_text(content)
    assert background.status(directory) is None
    assert background.start(directory, port).port == port


def test_a_server_that_does_not_answer_is_named_and_left_alone(directory: Path) -> None:
    server = background.start(directory, free_port())
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SessionError, match=f"kill -9 {server.pid}"):
            background.stop(directory)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert background.status(directory) == server


def test_two_starts_at_once_make_one_server(directory: Path) -> None:
    port = str(free_port())
    arguments = [str(COMMAND), "redis", "start", "--directory", str(directory), "--port", port]
    starts = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [start.communicate(timeout=30)[0] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    server = background.status(directory)
    assert server is not None
    assert all(f"pid {server.pid}," in output for output in outputs)


def test_the_command_says_where_it_is(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--directory", str(directory)]
    port = free_port()

    assert main(["redis", "status", *place]) == 1
    assert "not running" in capsys.readouterr().out
    assert main(["redis", "start", *place, "--port", str(port)]) == 0
    assert f"export REDIS_URL=redis://127.0.0.1:{port}" in capsys.readouterr().out
    assert main(["redis", "start", *place]) == 0
    assert "was running already" in capsys.readouterr().out
    assert main(["redis", "status", *place]) == 0
    assert f"redis://127.0.0.1:{port}" in capsys.readouterr().out
    assert main(["redis", "stop", *place]) == 0
    assert "has stopped" in capsys.readouterr().out
    assert main(["redis", "stop", *place]) == 0
    assert "not running" in capsys.readouterr().out


def test_an_error_of_the_command_is_one_line_and_status_1(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["redis", "start", "--directory", str(directory), "--port", "0"]) == 1
    assert capsys.readouterr().err == "jv-session-mw: --port is 0: give a number from 1 to 65535\n"


def test_the_default_directory_follows_xdg(tmp_path: Path) -> None:
    own = background.default_directory({"XDG_STATE_HOME": str(tmp_path)})
    assert own == tmp_path / "jv-session-mw" / "redis"
    usual = Path.home() / ".local" / "state" / "jv-session-mw" / "redis"
    assert background.default_directory({}) == usual
    assert background.default_directory({"XDG_STATE_HOME": ""}) == usual
