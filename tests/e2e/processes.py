"""The processes below another one, by what the system says."""

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the pids of all children of *pid*, and of theirs."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
    return children + [below for child in children for below in descendants(child)]
