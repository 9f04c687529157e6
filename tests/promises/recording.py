"""What OpenTelemetry has seen, kept in this process by a real SDK."""

from collections.abc import Sequence

from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jv_session_mw import ConversationMiddleware, ConversationStore
from tests.promises.apps import KEYS, router

Point = NumberDataPoint | HistogramDataPoint


class Recorder:
    """A tracer provider and a meter provider, to be handed to whatever is watched."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader])

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Every span that has ended, in the order of their ends."""
        return self._exporter.get_finished_spans()

    def ours(self) -> list[ReadableSpan]:
        """Return the spans of the package under test."""
        return [span for span in self.spans if span.name.startswith("conversation.")]

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def forget(self) -> None:
        """Forget the spans so far."""
        self._exporter.clear()

    def points(self, metric: str) -> list[Point]:
        """Return the data points of *metric* as they are now; none when it was never recorded."""
        data = self._reader.get_metrics_data()
        found: list[Point] = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for each in scope.metrics:
                    if each.name == metric:
                        points: Sequence[object] = each.data.data_points
                        found += [
                            point
                            for point in points
                            if isinstance(point, (NumberDataPoint, HistogramDataPoint))
                        ]
        return found

    def total(self, counter: str) -> float:
        """Return the sum of a counter over all of its attributes."""
        values = [
            point.value for point in self.points(counter) if isinstance(point, NumberDataPoint)
        ]
        return sum(values)

    def close(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


def traced(store: ConversationStore, recorder: Recorder) -> FastAPI:
    """Return the chat under FastAPI's own telemetry, which tells *recorder* too."""
    app = FastAPI(
        telemetry={
            "tracer_provider": recorder.tracer_provider,
            "meter_provider": recorder.meter_provider,
        }
    )
    app.include_router(router)
    app.add_middleware(ConversationMiddleware, store=store, secret_keys=KEYS)
    return app


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})
