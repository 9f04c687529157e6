"""What is looked at when metrics are collected: how a store is, not what it does."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from jv_session_mw.changes import Condition

T = TypeVar("T")

Callbacks = list[Callable[[CallbackOptions], Iterable[Observation]]]


class Gauged(Protocol):
    """A store, as the gauges see it."""

    def condition(self) -> Condition: ...


def looks_at(watched: T, read: Callable[[T], int], labels: Mapping[str, str]) -> Callbacks:
    """Return the callbacks of an instrument that reads *watched* for as long as that lives."""
    alive = weakref.ref(watched)

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        found = alive()
        return [] if found is None else [Observation(read(found), labels)]

    return [observe]


def watch(meter: Meter, store: Gauged, labels: Mapping[str, str]) -> None:
    """Make the instruments of *meter* that look at *store*."""
    meter.create_observable_gauge(
        "jv_session.store.degraded",
        looks_at(store, lambda store: int(store.condition().degraded), labels),
        description="1 while memory stands in for the store.",
    )
    meter.create_observable_gauge(
        "jv_session.memory.conversation.count",
        looks_at(store, lambda store: store.condition().in_memory, labels),
        unit="{conversation}",
        description="Conversations held in this process.",
    )
    meter.create_observable_counter(
        "jv_session.replay.conflicts",
        looks_at(store, lambda store: store.condition().replay_conflicts, labels),
        unit="{conflict}",
        description="Changes of an outage that could not be applied as they were.",
    )
