"""The tracer and the meter of a store, and the span that each store call begins.

The package depends on the OpenTelemetry API alone; without an SDK all of this costs about
nothing. Instruments are made once per store: the API's proxies bind when an SDK arrives.
"""

import hashlib
import math
from time import perf_counter
from typing import Final, Protocol

from opentelemetry import context, metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from jv_session_mw.attributes import BACKEND, CONVERSATION_ID, NAME, OPERATION, REPLAY, SCHEMA_URL
from jv_session_mw.condition import Condition
from jv_session_mw.deadline import Deadline
from jv_session_mw.gauges import Watch
from jv_session_mw.instruments import Attributes, Instruments
from jv_session_mw.store_call import Current, ObservedCall, StoreCall
from jv_session_mw.version import __version__

SECONDS_BETWEEN_LOOKS = 0.1

OPERATIONS = ("load", "save", "touch", "delete", "has", "keys", "lock", "unlock")


class Gauged(Protocol):
    """A store, as the gauges see it."""

    def condition(self) -> Condition: ...


STORES: Final = Watch[Gauged](BACKEND)


class Telemetry:
    """The tracer and the instruments of one store."""

    def __init__(
        self,
        backend: str,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._backend = backend
        self._meter_provider = meter_provider
        self._traces = tracer_provider is not None
        self._measures = meter_provider is not None
        self._look_at = 0.0
        self._tracer = trace.get_tracer(
            NAME, __version__, tracer_provider=tracer_provider, schema_url=SCHEMA_URL
        )
        self._meter = metrics.get_meter(
            NAME, __version__, meter_provider=meter_provider, schema_url=SCHEMA_URL
        )
        self._instruments = Instruments(self._meter, backend)
        self._spans: dict[str, tuple[str, Attributes]] = {
            operation: (f"conversation.{operation}", {BACKEND: backend, OPERATION: operation})
            for operation in OPERATIONS
        }
        self._id_key = b""

    def key_ids(self, secret: str) -> None:
        """Key the hash of conversation ids with *secret*, so that guessing ids is no use."""
        self._id_key = hashlib.blake2b(secret.encode(), person=b"jv_session.ids").digest()

    def hashed(self, id: str) -> str:
        """Return what stands for *id* in traces: 16 hexadecimal digits of a keyed hash."""
        data = id.encode(errors="surrogatepass")
        return hashlib.blake2b(data, key=self._id_key, digest_size=8).hexdigest()

    def watch(self, store: Gauged) -> None:
        """Let the observable instruments look at *store* for as long as it lives."""
        provider = self._meter_provider
        STORES.add(store, self._backend, provider)
        self._meter.create_observable_gauge(
            "jv_session.store.degraded",
            STORES.gauge(provider, lambda store: int(store.condition().degraded), max),
            description="1 while memory stands in for the store.",
        )
        self._meter.create_observable_gauge(
            "jv_session.memory.conversation.count",
            STORES.gauge(provider, lambda store: store.condition().in_memory, sum),
            unit="{conversation}",
            description="Conversations held in this process.",
        )
        self._meter.create_observable_counter(
            "jv_session.replay.conflicts",
            STORES.counter(provider, lambda store: store.condition().replay_conflicts),
            unit="{conflict}",
            description="Changes of an outage that could not be applied as they were.",
        )

    def call(
        self, operation: str, id: str, parent: context.Context, deadline: Deadline
    ) -> StoreCall:
        """Start one store call, and its span under *parent*; its time is charged to *deadline*."""
        started = perf_counter()
        if started >= self._look_at:
            self._look_for_sdk(started)
        if self._traces:
            span = self._span(operation, id, parent)
            return ObservedCall(self._instruments, operation, deadline, started, span)
        if self._measures:
            return ObservedCall(self._instruments, operation, deadline, started, None)
        return StoreCall(deadline, started)

    def replayed(self, operation: str, id: str, timeout: float) -> StoreCall:
        """Start a store call that a replay makes: no request waits, so its span is a root."""
        call = self.call(operation, id, context.Context(), Deadline(timeout))
        if call.recorded is not None:
            call.recorded.set_attribute(REPLAY, True)
        return call

    def name_span(self, id: str, of: context.Context) -> None:
        """Put the hashed id on the span of the context *of*, such as that of the server."""
        if not of:
            return
        span = trace.get_current_span(of)
        if span.is_recording():
            span.set_attribute(CONVERSATION_ID, self.hashed(id))

    def _look_for_sdk(self, now: float) -> None:
        """See whether there is an SDK by now; asking at each call would cost more than the call."""
        self._look_at = now + SECONDS_BETWEEN_LOOKS
        self._traces = self._traces or _is_real(trace.get_tracer_provider())
        self._measures = self._measures or _is_real(metrics.get_meter_provider())
        if self._traces and self._measures:
            self._look_at = math.inf

    def _span(self, operation: str, id: str, parent: context.Context) -> Current:
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


def _is_real(provider: TracerProvider | MeterProvider) -> bool:
    """Say whether *provider* does anything: those of the API itself are only stand-ins."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )
