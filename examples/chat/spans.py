"""The spans of a turn, kept in memory for the panel; an application exports them instead."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, format_trace_id

FALLBACK_REASON = "jv_session.fallback.reason"


@dataclass
class SpanNode:
    """One span of the tree; times are in milliseconds since the turn began."""

    name: str
    start: float
    duration: float
    fallback: str = ""
    children: list["SpanNode"] = field(default_factory=list["SpanNode"])


class RecentSpans(SpanProcessor):
    """Keeps the last finished spans of this process."""

    def __init__(self, limit: int = 1000) -> None:
        self._spans: deque[ReadableSpan] = deque(maxlen=limit)

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)

    def tree(self, trace_id: str) -> SpanNode | None:
        """Return the server span of a trace with all that is below it; None until it has ended."""
        spans = [span for span in self._spans if _trace_id(span) == trace_id]
        server = next((span for span in spans if span.kind is SpanKind.SERVER), None)
        return _node(server, spans, server.start_time or 0) if server else None


def current_trace_id() -> str:
    """Return the id of the trace that this code runs in."""
    return format_trace_id(trace.get_current_span().get_span_context().trace_id)


def _node(span: ReadableSpan, spans: Iterable[ReadableSpan], began: int) -> SpanNode:
    start, end = span.start_time or began, span.end_time or began
    children = [child for child in spans if child.parent and child.parent == span.context]
    return SpanNode(
        name=span.name,
        start=(start - began) / 1e6,
        duration=(end - start) / 1e6,
        fallback=str((span.attributes or {}).get(FALLBACK_REASON, "")),
        children=[
            _node(child, spans, began)
            for child in sorted(children, key=lambda child: child.start_time or 0)
        ],
    )


def _trace_id(span: ReadableSpan) -> str:
    return format_trace_id(span.context.trace_id) if span.context else ""
