"""The span and the metrics around every call of a tracker to its database."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, StatusCode, TracerProvider

from jv_session_mw.attributes import BUCKETS, CANCELLED, ERROR_TYPE, NAME, SCHEMA_URL
from jv_session_mw.gauges import Watch
from jv_session_mw.tracking.write_behind import TrackerStats
from jv_session_mw.version import __version__

BACKEND = "jv_session.tracking.backend"
OPERATION = "jv_session.tracking.operation"
BATCH_SIZE = "jv_session.tracking.batch.size"
BATCH_REFUSED = "jv_session.tracking.batch.refused"


class Counted(Protocol):
    """What the observable instruments look at."""

    @property
    def stats(self) -> TrackerStats: ...


TRACKERS: Final = Watch[Counted](BACKEND)


class TrackerTelemetry:
    """The tracer and the instruments of one tracker, which never show owners, ids or titles."""

    def __init__(
        self,
        backend: str,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self._backend = backend
        self._meter_provider = meter_provider
        self._tracer = trace.get_tracer(
            NAME, __version__, tracer_provider=tracer_provider, schema_url=SCHEMA_URL
        )
        self._meter = metrics.get_meter(
            NAME, __version__, meter_provider=meter_provider, schema_url=SCHEMA_URL
        )
        self._duration = self._meter.create_histogram(
            "jv_session.tracking.operation.duration",
            unit="s",
            description="Duration of the tracker's calls to its database.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )

    @contextmanager
    def call(self, operation: str) -> Generator[Span]:
        """Make one call one span, which is current inside, so that httpx's are its children."""
        labels = {BACKEND: self._backend, OPERATION: operation}
        started = time.perf_counter()
        with self._tracer.start_as_current_span(
            f"tracking.{operation}",
            attributes=labels,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                kind = f"{type(error).__module__}.{type(error).__qualname__}"
                labels = {**labels, ERROR_TYPE: kind}
                if isinstance(error, Exception):
                    span.set_attribute(ERROR_TYPE, kind)
                    span.set_status(StatusCode.ERROR)  # no message: it may hold what was written
                else:
                    span.set_attribute(CANCELLED, True)
                raise
            finally:
                self._duration.record(time.perf_counter() - started, labels)

    def watch(self, tracker: Counted) -> None:
        """Let the observable instruments look at *tracker* for as long as it lives."""
        TRACKERS.add(tracker, self._backend, self._meter_provider)
        self._meter.create_observable_gauge(
            "jv_session.tracking.pending",
            TRACKERS.gauge(self._meter_provider, lambda tracker: tracker.stats.pending, sum),
            unit="{session}",
            description="Chat sessions whose activity waits to be written.",
        )
        self._meter.create_observable_counter(
            "jv_session.tracking.dropped",
            TRACKERS.counter(self._meter_provider, lambda tracker: tracker.stats.dropped),
            unit="{session}",
            description="Chat sessions whose activity is lost.",
        )
