"""What the command does when its output goes nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("jv-session-mw")
COMMANDS = (["new-key"], ["tracking", "migrate", "--print"], ["redis", "status"])


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_reader_that_has_gone_is_one_line_and_status_1(
    tmp_path: Path, arguments: list[str]
) -> None:
    command = subprocess.Popen(
        [COMMAND, *arguments],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()  # long before an interpreter has started
        assert command.stderr.read() == "jv-session-mw: Broken pipe\n"
    assert command.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_full_disk_is_one_line_and_status_1(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = subprocess.run(
            [COMMAND, *arguments],
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert command.stderr == "jv-session-mw: No space left on device\n"
    assert command.returncode == 1
