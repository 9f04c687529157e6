"""Where a conversation was deleted: what keeps a request in flight from bringing it back."""

from collections import OrderedDict
from collections.abc import Callable


class Tombstones:
    """Keys that were deleted less than *seconds* ago, at most *most* of them, oldest out first."""

    __slots__ = ("_clock", "_most", "_seconds", "_until")

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, key: str) -> bool:
        until = self._until.get(key)
        return until is not None and until > self._clock()

    def set(self, key: str) -> None:
        """Set one for *key*, and take those away whose time is over."""
        self._until.pop(key, None)
        now = self._clock()
        self._until[key] = now + self._seconds
        while len(self._until) > self._most or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

    def take_away(self, key: str) -> None:
        self._until.pop(key, None)
