"""An OpenTelemetry SDK that is set up after the store is found out, without a restart."""

import subprocess
import sys
from pathlib import Path

# In a process of its own: a global provider is set once and for all.
SPANS = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from jv_session_mw import MemoryConversationStore

async def main():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with MemoryConversationStore() as store:
        await store.get("id")
        trace.set_tracer_provider(provider)
        while not exporter.get_finished_spans():
            await store.get("id")
            await asyncio.sleep(0.01)
        exporter.clear()
        await store.set("id", {"a": 1})
        print(*[span.name for span in exporter.get_finished_spans()])

asyncio.run(main())
"""

METRICS = """
import asyncio
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from jv_session_mw import MemoryConversationStore

def seen(reader):
    data = reader.get_metrics_data()
    scopes = [] if data is None else [s for r in data.resource_metrics for s in r.scope_metrics]
    return {metric.name for scope in scopes for metric in scope.metrics}

async def main():
    reader = InMemoryMetricReader()
    async with MemoryConversationStore() as store:
        await store.get("id")
        metrics.set_meter_provider(MeterProvider([reader]))
        while "jv_session.store.operation.duration" not in seen(reader):
            await store.get("id")
            await asyncio.sleep(0.01)
        print("measured")

asyncio.run(main())
"""


def test_an_sdk_that_comes_late_gets_its_spans() -> None:
    assert words_of(SPANS) == ["conversation.load", "conversation.save"]


def test_an_sdk_of_metrics_alone_that_comes_late_gets_its_measurements() -> None:
    assert words_of(METRICS) == ["measured"]


def words_of(program: str) -> list[str]:
    """Run *program*, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
