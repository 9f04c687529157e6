"""Processes that are started, watched and ended by their pid."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# The server runs beside a reader of our pipe. The pipe's end means that we asked for the end, or
# that we are gone, however that came about: no process stays behind. SIGKILL, as a server that
# was stopped with SIGSTOP would not see any other signal.
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

    Ctrl-C is sent to every process of the terminal's foreground group; the one who started this
    process wants to end first, and then end it.
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
        """Kill the process and wait until it is gone; fine when it is gone already."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


def has_ended(pid: int) -> bool:
    """Return whether no such process runs any more, and all that it held is free again.

    One that has exited but that its parent has not collected has ended too: where the first
    process of a container collects nothing, it would be waited for without end.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # there is none, or cannot be any of this number
        return True
    except PermissionError:  # it runs, and belongs to somebody else
        return False
    return _is_zombie(Path(f"/proc/{pid}"))


def _is_zombie(process: Path) -> bool:
    try:
        stat = (process / "stat").read_text(errors="replace")
        threads = len(list((process / "task").iterdir()))
    except OSError:  # a system without /proc; or it ended just now, which the next call will see
        return False
    state = stat.rpartition(")")[2].split()[0]  # the name in parentheses may contain anything
    # The main thread can be a zombie while others still run and hold the port.
    return state == "Z" and threads == 1


def poll_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask again and again, at most for so long; return whether the condition came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
