"""Tombstones of deleted conversations, so that a request in flight does not bring one back."""

from collections import OrderedDict
from collections.abc import Callable


class Tombstones:
    """Keys that were deleted less than *seconds* ago; beyond *most* of them the oldest goes."""

    __slots__ = ("_clock", "_most", "_seconds", "until")

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self.until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self.until)

    def __contains__(self, key: str) -> bool:
        until = self.until.get(key)
        return until is not None and until > self._clock()

    def set(self, key: str) -> None:
        """Set one for *key*, and take away those that have expired."""
        self.until.pop(key, None)
        now = self._clock()
        self.until[key] = now + self._seconds
        while len(self.until) > self._most or next(iter(self.until.values())) <= now:
            self.until.popitem(last=False)

    def take_away(self, key: str) -> None:
        self.until.pop(key, None)
