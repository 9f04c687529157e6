"""Entries by key, bounded in number and bytes; the least recently used is dropped first."""

from collections import OrderedDict
from collections.abc import Callable

from jv_session_mw.backends.entry import Entry


class Bounded:
    """The entries, and the `size` of all in bytes. An expired one is dropped when it is found."""

    __slots__ = ("_clock", "_max_bytes", "_max_entries", "by_key", "size")

    def __init__(self, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self.by_key: OrderedDict[str, Entry] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self.size = 0

    def __len__(self) -> int:
        return len(self.by_key)

    def keys(self) -> list[str]:
        return [key for key in list(self.by_key) if self.find(key) is not None]

    def find(self, key: str) -> Entry | None:
        """Return the entry of *key* unless it has expired; that counts as a use."""
        entry = self.by_key.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self.forget(key)
            return None
        self.by_key.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Keep *entry* under *key*, in place of what is there; its size must be set."""
        self.forget(key)
        self.by_key[key] = entry
        self._resize(entry.size)

    def forget(self, key: str) -> None:
        entry = self.by_key.pop(key, None)
        if entry is not None:
            self.size -= entry.size

    def grow(self, key: str, entry: Entry, by: int) -> None:
        """Note that *entry* takes *by* bytes more than before."""
        if self.by_key.get(key) is entry:  # it may have been dropped meanwhile
            entry.size += by
            self._resize(by)

    def drop_oldest(self) -> bool:
        """Drop the least recently used entry; say whether there was one."""
        if not self.by_key:
            return False
        _, oldest = self.by_key.popitem(last=False)
        self.size -= oldest.size
        return True

    def _resize(self, by: int) -> None:
        self.size += by
        while self.size > self._max_bytes or len(self.by_key) > self._max_entries:
            self.drop_oldest()
