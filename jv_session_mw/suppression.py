"""Keeps other instrumentations from tracing our background work."""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import context


@contextmanager
def suppress_instrumentation() -> Generator[None]:
    """Keep other instrumentations quiet inside; they all honour this plain key."""
    token = context.attach(context.set_value("suppress_instrumentation", True))
    try:
        yield
    finally:
        context.detach(token)
