"""What is looked at when metrics are collected: how a store is, not what it does."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation


class Gauged(Protocol):
    """What the observable gauges look at."""

    @property
    def degraded(self) -> bool: ...

    @property
    def in_memory(self) -> int: ...

    @property
    def replay_conflicts(self) -> int: ...


def watch(meter: Meter, store: Gauged, labels: Mapping[str, str]) -> None:
    """Let instruments of *meter* look at *store* for as long as it lives."""
    alive = weakref.ref(store)

    def look(read: Callable[[Gauged], int]) -> list[Callable[..., Iterable[Observation]]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            found = alive()
            return [] if found is None else [Observation(read(found), labels)]

        return [observe]

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
