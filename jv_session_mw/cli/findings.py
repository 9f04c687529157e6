"""The findings of a check, and how they are printed."""

from collections.abc import Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """One line of the report: `advice` is empty if all is well, `fatal` if nothing would work."""

    what: str
    advice: str = ""
    fatal: bool = False


def report(findings: Iterable[Finding]) -> int:
    """Print the findings; return 1 when the application would not work with what was checked."""
    status = 0
    for finding in findings:
        print(_line(finding))
        status |= finding.fatal
    return int(status)


def _line(finding: Finding) -> str:
    if not finding.advice:
        return f"ok    {finding.what}"
    return f"{'FIX ' if finding.fatal else 'note'}  {finding.what}\n      {finding.advice}"
