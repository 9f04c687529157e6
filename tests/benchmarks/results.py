"""What was measured, as plain data: a flat list that the table, the plots and the JSON read."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct


class Measurement(Struct, frozen=True):
    """One number.

    *kind* says what was measured, such as `cpu`, *contender* of whom, *operation* is `turn`,
    `read`, `visit`, `chunk` or `store`, *size* how many messages were stored before, *concurrency*
    how many requests were under way, *variant* what else was particular, such as `recording`.
    """

    kind: str
    contender: str
    operation: str
    value: float
    unit: str
    size: int = 0
    concurrency: int = 0
    variant: str = ""


class Results(Struct):
    """All that one run has measured, and where."""

    python: str
    server: str
    quick: bool
    measurements: list[Measurement] = msgspec.field(default_factory=list[Measurement])

    def select(self, kind: str, **wanted: str | int) -> list[Measurement]:
        """Return the measurements of *kind* whose fields are as *wanted*."""
        return [
            found
            for found in self.measurements
            if found.kind == kind and all(getattr(found, name) == wanted[name] for name in wanted)
        ]

    def value(self, kind: str, **wanted: str | int) -> float | None:
        """Return the one value that is meant, or None where it was not measured."""
        found = self.select(kind, **wanted)
        return found[0].value if len(found) == 1 else None

    def add(self, measurements: Iterable[Measurement]) -> None:
        self.measurements.extend(measurements)


def write(results: Results, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")


def read(path: Path) -> Results:
    return msgspec.json.decode(path.read_bytes(), type=Results)
