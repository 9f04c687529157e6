"""Span and metric names, attributes, and the span around every store call.

The package depends on the OpenTelemetry API alone; without an SDK all of this costs about
nothing. Instruments are made once per store: the API's proxies bind when an SDK arrives.
Conventions: OpenTelemetry semantic conventions 1.44.0 (`error.type`, `gen_ai.conversation.id`).
"""

import hashlib
import math
from collections.abc import Mapping
from contextvars import Token
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from opentelemetry import context, metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, StatusCode, TracerProvider

from jv_session_mw.deadline import Deadline
from jv_session_mw.gauges import Gauged, watch
from jv_session_mw.lateness import waited
from jv_session_mw.version import __version__

NAME = "jv_session_mw"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

BACKEND = "jv_session.store.backend"
OPERATION = "jv_session.store.operation"
SERVED_BY = "jv_session.store.served_by"
RESULT = "jv_session.{operation}.result"
SIZE = "jv_session.state.size"
VERSION = "jv_session.state.version"
TTL = "jv_session.ttl"
FALLBACK = "jv_session.fallback"
FALLBACK_REASON = "jv_session.fallback.reason"
CANCELLED = "jv_session.cancelled"
CONVERSATION_ID = "gen_ai.conversation.id"
ERROR_TYPE = "error.type"
FALLBACK_EVENT = "jv_session.store.fallback"
CONFLICT_EVENT = "jv_session.store.conflict"

# Local Redis answers in a fraction of a millisecond, which the conventions' buckets hide.
BUCKETS = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]  # fmt: skip

SECONDS_BETWEEN_LOOKS = 0.1

OPERATIONS = ("load", "save", "touch", "delete", "has", "keys")

Attributes = Mapping[str, str | int | float | bool]


class Telemetry:
    """The tracer and the instruments of one store."""

    def __init__(
        self,
        backend: str,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._backend = backend
        self._traces = tracer_provider is not None
        self._measures = meter_provider is not None
        self._look_at = 0.0
        self._tracer = trace.get_tracer(
            NAME, __version__, tracer_provider=tracer_provider, schema_url=SCHEMA_URL
        )
        self._meter = metrics.get_meter(
            NAME, __version__, meter_provider=meter_provider, schema_url=SCHEMA_URL
        )
        self._duration = self._meter.create_histogram(
            "jv_session.store.operation.duration",
            unit="s",
            description="Duration of store calls.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._fallbacks = self._meter.create_counter(
            "jv_session.store.fallbacks",
            unit="{fallback}",
            description="Store calls that memory answered because the store was away.",
        )
        self._conflicts = self._meter.create_counter(
            "jv_session.store.conflicts",
            unit="{conflict}",
            description="Fields that two requests changed at the same time.",
        )
        self._spans: dict[str, tuple[str, Attributes]] = {
            operation: (f"conversation.{operation}", {BACKEND: backend, OPERATION: operation})
            for operation in OPERATIONS
        }
        self._on_metrics: dict[tuple[str, str, str], Attributes] = {}
        self._id_key = b""

    def key_ids(self, secret: str) -> None:
        """Key the hash of conversation ids with *secret*, so that guessing ids is no use."""
        self._id_key = hashlib.blake2b(secret.encode(), person=b"jv_session.ids").digest()

    def hashed(self, id: str) -> str:
        """Return the name of *id* in traces: 16 hexadecimal digits of a keyed hash."""
        data = id.encode(errors="surrogatepass")
        return hashlib.blake2b(data, key=self._id_key, digest_size=8).hexdigest()

    def watch(self, store: Gauged) -> None:
        """Let the gauges look at *store* for as long as it lives."""
        watch(self._meter, store, {BACKEND: self._backend})

    def call(
        self, operation: str, id: str, parent: context.Context, deadline: Deadline
    ) -> "StoreCall":
        """Start one store call, and its span under *parent*; its time is charged to *deadline*."""
        started = perf_counter()
        if started >= self._look_at:
            self._look_for_sdk(started)
        if self._traces:
            span = self._span(operation, id, parent)
            return ObservedCall(self, operation, deadline, started, span)
        if self._measures:
            return ObservedCall(self, operation, deadline, started, None)
        return StoreCall(deadline, started)

    def name_span(self, id: str, of: context.Context) -> None:
        """Put the id's name on the server's span, so that one query finds all turns."""
        if not of:
            return
        span = trace.get_current_span(of)
        if span.is_recording():
            span.set_attribute(CONVERSATION_ID, self.hashed(id))

    def _look_for_sdk(self, now: float) -> None:
        """See whether there is an SDK by now. To ask at each call would cost more than the call."""
        self._look_at = now + SECONDS_BETWEEN_LOOKS
        self._traces = self._traces or _is_real(trace.get_tracer_provider())
        self._measures = self._measures or _is_real(metrics.get_meter_provider())
        if self._traces and self._measures:
            self._look_at = math.inf

    def _span(self, operation: str, id: str, parent: context.Context) -> "Current":
        name, attributes = self._spans[operation]
        span = self._tracer.start_span(
            name,
            context=parent,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        recording = span.is_recording()
        if id and recording:
            span.set_attribute(CONVERSATION_ID, self.hashed(id))
        token = None
        if span.get_span_context().is_valid:
            token = context.attach(trace.set_span_in_context(span, parent))
        return Current(span, token, recording)

    def measured(self, operation: str, seconds: float, result: str, error: str) -> None:
        key = (operation, result, error)
        attributes = self._on_metrics.get(key)
        if attributes is None:
            labels = {BACKEND: self._backend, OPERATION: operation, "jv_session.result": result}
            attributes = labels | {ERROR_TYPE: error} if error else labels
            self._on_metrics[key] = attributes
        self._duration.record(seconds, attributes)

    def fell_back(self, reason: str) -> None:
        self._fallbacks.add(1, {BACKEND: self._backend, FALLBACK_REASON: reason})

    def collided(self, fields: int) -> None:
        self._conflicts.add(fields, {BACKEND: self._backend})


def _is_real(provider: TracerProvider | MeterProvider) -> bool:
    """Say whether *provider* does anything: those that the API itself has only stand in for one."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )


class Current(NamedTuple):
    """A span of ours, and what ends its being the current one."""

    span: Span
    token: Token[context.Context] | None
    recording: bool


class StoreCall:
    """The clock around one store call; its time is charged to the request's deadline.

    That is all there is where nobody observes it. A call that fails or is cancelled is charged too.
    """

    __slots__ = ("_deadline", "_started", "result")

    is_observed = False
    recorded: Span | None = None

    def __init__(self, deadline: Deadline, started: float) -> None:
        self._deadline = deadline
        self._started = started
        self.result = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadline.left -= waited(perf_counter() - self._started)

    def finished(self, result: str, version: int, ttl_ms: int) -> None:
        """Say what came of the call."""

    def fell_back(self, reason: str) -> None:
        """Say that memory answered. A handled fallback is no error."""

    def collided(self, fields: int) -> None:
        """Say that *fields* values were not those that this save was based on."""


class ObservedCall(StoreCall):
    """A store call with its measurement, and with its span if there is one.

    The span is current inside, so that the Redis instrumentation's spans become its children. One
    that is merely not sampled is made current all the same: its children must not start sampled
    traces of their own. `recorded` is a span that keeps what it is told.
    """

    __slots__ = ("_current", "_operation", "_telemetry", "recorded")

    is_observed = True

    def __init__(
        self,
        telemetry: Telemetry,
        operation: str,
        deadline: Deadline,
        started: float,
        current: Current | None,
    ) -> None:
        super().__init__(deadline, started)
        self._telemetry = telemetry
        self._operation = operation
        self._current = current
        self.recorded = current.span if current is not None and current.recording else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = perf_counter() - self._started
        self._deadline.left -= waited(seconds)
        failure = "" if kind is None else f"{kind.__module__}.{kind.__qualname__}"
        if self._current is not None:
            self._end(self._current, kind, failure)
        self._telemetry.measured(self._operation, seconds, self.result, failure)

    def finished(self, result: str, version: int, ttl_ms: int) -> None:
        self.result = result
        if self.recorded is None:
            return
        self.recorded.set_attribute(TTL, ttl_ms / 1000)
        if version:
            self.recorded.set_attribute(VERSION, version)

    def fell_back(self, reason: str) -> None:
        self._telemetry.fell_back(reason)
        if self.recorded is not None:
            self.recorded.set_attribute(FALLBACK, True)
            self.recorded.set_attribute(FALLBACK_REASON, reason)
            self.recorded.set_attribute(SERVED_BY, "memory")
            self.recorded.add_event(FALLBACK_EVENT, {FALLBACK_REASON: reason})

    def collided(self, fields: int) -> None:
        self._telemetry.collided(fields)
        if self.recorded is not None:
            self.recorded.add_event(CONFLICT_EVENT, {"jv_session.conflict.fields": fields})

    def _end(self, current: Current, kind: type[BaseException] | None, failure: str) -> None:
        if current.token is not None:
            context.detach(current.token)
        if self.recorded is not None:
            self._conclude(self.recorded, kind, failure)
        current.span.end()

    def _conclude(self, span: Span, kind: type[BaseException] | None, failure: str) -> None:
        if self.result:
            span.set_attribute(RESULT.format(operation=self._operation), self.result)
        if kind is not None and issubclass(kind, Exception):
            span.set_attribute(ERROR_TYPE, failure)
            span.set_status(StatusCode.ERROR)  # no message: it may hold keys
        elif kind is not None:
            span.set_attribute(CANCELLED, True)
