"""An OpenTelemetry SDK that is set up after the store is found out, without a restart."""

import subprocess
import sys
from pathlib import Path

# In a process of its own: a global provider is set once and for all.
PROGRAM = """
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


def test_an_sdk_that_comes_late_gets_its_spans() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["conversation.load", "conversation.save"]
