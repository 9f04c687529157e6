"""One store call: its clock, its span and its measurement."""

from contextvars import Token
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from opentelemetry import context
from opentelemetry.trace import Span, StatusCode

from jv_session_mw.attributes import (
    CANCELLED,
    CONFLICT_EVENT,
    CONFLICT_FIELDS,
    ERROR_TYPE,
    FALLBACK,
    FALLBACK_EVENT,
    FALLBACK_REASON,
    SERVED_BY,
    SIZE,
    SPAN_RESULT,
    TTL,
    VERSION,
)
from jv_session_mw.changes import Outcome, Snapshot
from jv_session_mw.deadline import Deadline
from jv_session_mw.instruments import Instruments
from jv_session_mw.lateness import waited


class Current(NamedTuple):
    """A span of ours, the token that it is detached with, and whether it is recording."""

    span: Span
    token: Token[context.Context] | None
    recording: bool


class StoreCall:
    """The clock around one store call; its time is charged to the request's deadline.

    A call that fails or is cancelled is charged too. Without an SDK, this is all that runs.
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

    def conflicted(self, fields: int) -> None:
        """Say that so many fields or messages were not what this save was based on."""


class ObservedCall(StoreCall):
    """A store call with its measurement, and with its span if there is one.

    The span is current inside, so that the Redis instrumentation's spans become its children. One
    that is not sampled is made current too: its children must not start sampled traces of their
    own. `recorded` is the span if it is recording, else None.
    """

    __slots__ = ("_current", "_instruments", "_operation", "recorded")

    is_observed = True

    def __init__(
        self,
        instruments: Instruments,
        operation: str,
        deadline: Deadline,
        started: float,
        current: Current | None,
    ) -> None:
        super().__init__(deadline, started)
        self._instruments = instruments
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
        self._instruments.measured(self._operation, seconds, self.result, failure)

    def finished(self, result: str, version: int, ttl_ms: int) -> None:
        self.result = result
        if self.recorded is None:
            return
        self.recorded.set_attribute(TTL, ttl_ms / 1000)
        if version:
            self.recorded.set_attribute(VERSION, version)

    def fell_back(self, reason: str) -> None:
        self._instruments.fell_back(reason)
        if self.recorded is not None:
            self.recorded.set_attribute(FALLBACK, True)
            self.recorded.set_attribute(FALLBACK_REASON, reason)
            self.recorded.set_attribute(SERVED_BY, "memory")
            self.recorded.add_event(FALLBACK_EVENT, {FALLBACK_REASON: reason})

    def conflicted(self, fields: int) -> None:
        self._instruments.conflicted(fields)
        if self.recorded is not None:
            self.recorded.add_event(CONFLICT_EVENT, {CONFLICT_FIELDS: fields})

    def _end(self, current: Current, kind: type[BaseException] | None, failure: str) -> None:
        if current.token is not None:
            context.detach(current.token)
        if self.recorded is not None:
            self._conclude(self.recorded, kind, failure)
        current.span.end()

    def _conclude(self, span: Span, kind: type[BaseException] | None, failure: str) -> None:
        if self.result:
            span.set_attribute(SPAN_RESULT.format(operation=self._operation), self.result)
        if kind is not None and issubclass(kind, Exception):
            span.set_attribute(ERROR_TYPE, failure)
            span.set_status(StatusCode.ERROR)  # no message: it may hold keys
        elif kind is not None:
            span.set_attribute(CANCELLED, True)


def tell_of_load(call: StoreCall, snapshot: Snapshot) -> None:
    """Tell *call* what a load has found."""
    call.finished("hit" if snapshot.version else "miss", snapshot.version, snapshot.ttl_ms)
    if call.recorded is not None:
        call.recorded.set_attribute(SIZE, _size(snapshot))
    if snapshot.fallback:
        call.fell_back(snapshot.fallback)


def tell_of_commit(call: StoreCall, outcome: Outcome) -> None:
    """Tell *call* what has become of a commit."""
    result = "written" if outcome.status == "committed" else outcome.status
    call.finished(result, outcome.version, outcome.ttl_ms)
    if outcome.conflicts:
        call.conflicted(len(outcome.conflicts))
    if outcome.fallback:
        call.fell_back(outcome.fallback)


def _size(snapshot: Snapshot) -> int:
    fields = sum(len(name) + len(data) for name, data in snapshot.fields.items())
    return fields + sum(map(len, snapshot.messages.values))
