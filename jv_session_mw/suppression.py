"""Work that no other instrumentation is to trace."""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import context


@contextmanager
def suppress_instrumentation() -> Generator[None]:
    """Keep other instrumentations quiet inside; the plain key is the one that they honour."""
    token = context.attach(context.set_value("suppress_instrumentation", True))
    try:
        yield
    finally:
        context.detach(token)
