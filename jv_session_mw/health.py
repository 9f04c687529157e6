"""How the store is, for dashboards and readiness probes."""

from msgspec import Struct


class StoreHealth(Struct, frozen=True, kw_only=True):
    """What `get_health()` reports.

    `latency_ms` is that of a ping just now, None when nothing answered. `conversations` counts
    what is held in this process: copies and what was written during an outage.
    """

    connected: bool
    latency_ms: float | None
    using_fallback: bool
    last_error: str | None
    conversations: int = 0
