"""What is looked at when metrics are collected: how a store is, not what it does."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, Observation

T = TypeVar("T")

Read = Callable[[T], int]
Observers = list[Callable[[CallbackOptions], Iterable[Observation]]]


class Gauged(Protocol):
    """What the observable gauges look at."""

    @property
    def degraded(self) -> bool: ...

    @property
    def in_memory(self) -> int: ...

    @property
    def replay_conflicts(self) -> int: ...


def looking_at(watched: T, labels: Mapping[str, str]) -> Callable[[Read[T]], Observers]:
    """Return what makes an instrument's callbacks of a look at *watched*, while that lives."""
    alive = weakref.ref(watched)

    def look(read: Read[T]) -> Observers:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            found = alive()
            return [] if found is None else [Observation(read(found), labels)]

        return [observe]

    return look


def watch(meter: Meter, store: Gauged, labels: Mapping[str, str]) -> None:
    """Let instruments of *meter* look at *store* for as long as it lives."""
    look = looking_at(store, labels)
    meter.create_observable_gauge(
        "jv_session.store.degraded",
        look(lambda store: int(store.degraded)),
        description="1 while memory stands in for the store.",
    )
    meter.create_observable_gauge(
        "jv_session.memory.conversation.count",
        look(lambda store: store.in_memory),
        unit="{conversation}",
        description="Conversations held in this process.",
    )
    meter.create_observable_counter(
        "jv_session.replay.conflicts",
        look(lambda store: store.replay_conflicts),
        unit="{conflict}",
        description="Changes of an outage that could not be applied as they were.",
    )
