"""Processes that are started, watched and ended by their pid."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Beside the server runs a reader of our pipe. When the pipe ends, we have closed it or are gone,
# however that came about, and the reader kills the server: no process stays behind. By SIGKILL,
# since a server that was stopped by SIGSTOP would not see any other signal.
_GUARD = """
log=$1; shift
exec 3<&0
"$@" 3<&- >"$log" 2>&1 & server=$!
echo $server
{ read -r _ <&3; kill -9 $server; } >&2 & reader=$!
wait $server; status=$?
kill $reader
exit $status
"""


class GuardedProcess:
    """A child process that cannot outlive this one, and that Ctrl-C does not reach.

    Ctrl-C goes to every process of the terminal's foreground group. This process wants to clean up
    first, and then end the child itself.
    """

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", log, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        assert self._guard.stdout is not None
        with self._guard.stdout as stdout:
            self.pid = int(stdout.readline())

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    def end(self) -> None:
        """Kill the process and wait until it is gone; does nothing when it is gone already."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


def has_ended(pid: int) -> bool:
    """Return whether the process has ended, and all that it held is free again.

    A zombie counts as ended: in a container whose first process collects none, it would stay for
    ever.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # there is none, or there can be none
        return True
    except PermissionError:  # it runs, and belongs to somebody else
        return False
    return _is_zombie(Path(f"/proc/{pid}"))


def _is_zombie(process: Path) -> bool:
    try:
        stat = (process / "stat").read_text(errors="replace")
        threads = len(list((process / "task").iterdir()))
    except OSError:  # there is no /proc; or it has just ended, as the next call will see
        return False
    state = stat.rpartition(")")[2].split()[0]  # the name in parentheses may contain anything
    # The main thread can be a zombie while others still run and hold the port.
    return state == "Z" and threads == 1


def poll_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until *condition* is true, *seconds* at most; return whether it was."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
