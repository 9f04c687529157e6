"""The instruments that count and measure store calls."""

from collections.abc import Mapping

from opentelemetry.metrics import Meter

from jv_session_mw.attributes import (
    BACKEND,
    BUCKETS,
    ERROR_TYPE,
    FALLBACK_REASON,
    OPERATION,
    RESULT,
)

Attributes = Mapping[str, str | int | float | bool]


class Instruments:
    """The histogram and the counters of one store."""

    def __init__(self, meter: Meter, backend: str) -> None:
        self._backend = backend
        self._duration = meter.create_histogram(
            "jv_session.store.operation.duration",
            unit="s",
            description="Duration of store calls.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._fallbacks = meter.create_counter(
            "jv_session.store.fallbacks",
            unit="{fallback}",
            description="Store calls that memory answered because the store was away.",
        )
        self._conflicts = meter.create_counter(
            "jv_session.store.conflicts",
            unit="{conflict}",
            description="Fields that two requests changed at the same time.",
        )
        self._attributes: dict[tuple[str, str, str], Attributes] = {}

    def measured(self, operation: str, seconds: float, result: str, error: str) -> None:
        key = (operation, result, error)
        attributes = self._attributes.get(key)
        if attributes is None:
            labels = {BACKEND: self._backend, OPERATION: operation, RESULT: result}
            attributes = labels | {ERROR_TYPE: error} if error else labels
            self._attributes[key] = attributes
        self._duration.record(seconds, attributes)

    def fell_back(self, reason: str) -> None:
        self._fallbacks.add(1, {BACKEND: self._backend, FALLBACK_REASON: reason})

    def conflicted(self, fields: int) -> None:
        self._conflicts.add(fields, {BACKEND: self._backend})
