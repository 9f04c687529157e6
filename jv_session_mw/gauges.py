"""What observable instruments show: it is read when metrics are collected."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

T = TypeVar("T")

Callbacks = list[Callable[[CallbackOptions], Iterable[Observation]]]


class Watch(Generic[T]):
    """All stores of this process, or all trackers, for as long as each lives.

    An SDK keeps the first instrument of a name, and ignores the callbacks of later ones. So each
    callback looks at all that have the same provider, whichever of them has made it. All of one
    backend make one observation.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._watched: WeakKeyDictionary[T, tuple[str, MeterProvider | None]] = WeakKeyDictionary()
        self._lock = threading.Lock()  # metrics are collected in a thread of their own

    def add(self, watched: T, backend: str, provider: MeterProvider | None) -> None:
        """Watch *watched* too; *provider* is that of its meter, None for the global one."""
        is_global = provider is metrics.get_meter_provider()  # a stand-in until an SDK arrives
        with self._lock:
            self._watched[watched] = backend, None if is_global else provider

    def gauge(
        self,
        provider: MeterProvider | None,
        read: Callable[[T], int],
        together: Callable[[Iterable[int]], int],
    ) -> Callbacks:
        """Return the callbacks of a gauge; *together* makes one value of several."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            values: dict[str, list[int]] = {}
            with self._lock:
                for watched, backend in self._under(provider):
                    values.setdefault(backend, []).append(read(watched))
            return self._observations({of: together(each) for of, each in values.items()})

        return [observe]

    def counter(self, provider: MeterProvider | None, read: Callable[[T], int]) -> Callbacks:
        """Return the callbacks of a counter, which keeps the counts of those that are gone."""
        counted: WeakKeyDictionary[T, int] = WeakKeyDictionary()
        totals: dict[str, int] = {}

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                for watched, backend in self._under(provider):
                    count = read(watched)
                    totals[backend] = totals.get(backend, 0) + count - counted.get(watched, 0)
                    counted[watched] = count
                return self._observations(totals)

        return [observe]

    def _under(self, provider: MeterProvider | None) -> list[tuple[T, str]]:
        meant = _meant(provider)
        return [
            (watched, backend)
            for watched, (backend, of) in self._watched.items()
            if _meant(of) is meant
        ]

    def _observations(self, values: dict[str, int]) -> list[Observation]:
        return [Observation(value, {self._label: backend}) for backend, value in values.items()]


def _meant(provider: MeterProvider | None) -> MeterProvider:
    return metrics.get_meter_provider() if provider is None else provider
