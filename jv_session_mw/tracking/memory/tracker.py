"""Chat sessions in this process, gone with it: for development and tests."""

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from jv_session_mw.tracking.ledger_tracker import LedgerTracker
from jv_session_mw.tracking.memory.ledger import MemoryLedger


class MemorySessionTracker(LedgerTracker):
    """Chat sessions in this process, gone with it: for development and tests."""

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        super().__init__(
            MemoryLedger(),
            flush_interval=0.05,
            max_batch=500,
            max_pending=10_000,
            close_timeout=5.0,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
        )
