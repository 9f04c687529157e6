"""A part of the message log, as it is stored."""

from collections.abc import Iterator, Sequence
from typing import Final

from mypy_extensions import mypyc_attr


@mypyc_attr(acyclic=True)
class Stretch:
    """A stretch of the message log, oldest first: the bytes of each message, and its number.

    A message keeps its number for ever. The numbers grow along the log, but may have gaps. There
    are two sequences rather than pairs, since values are mostly decoded and compared as a whole.
    Neither changes.
    """

    __slots__ = ("numbers", "values")

    def __init__(self, numbers: Sequence[int] = (), values: Sequence[bytes] = ()) -> None:
        self.numbers: Final = numbers
        self.values: Final = values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return zip(self.numbers, self.values, strict=True)

    def __getitem__(self, part: slice) -> "Stretch":
        return Stretch(self.numbers[part], self.values[part])

    def __add__(self, other: "Stretch") -> "Stretch":
        return Stretch([*self.numbers, *other.numbers], [*self.values, *other.values])

    def extended(self, first: int, values: Sequence[bytes]) -> "Stretch":
        """Return this with *values* at its end, which are numbered from *first* on."""
        held, end = self.numbers, first + len(values)
        if isinstance(held, range) and held.stop == first:
            return Stretch(range(held.start, end), [*self.values, *values])
        if not held:
            return Stretch(range(first, end), values)
        return Stretch([*held, *range(first, end)], [*self.values, *values])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stretch) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((tuple(self.numbers), tuple(self.values)))


NO_MESSAGES: Final = Stretch()
