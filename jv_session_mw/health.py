"""How the store is, for dashboards and readiness probes."""

from msgspec import Struct


class StoreHealth(Struct, frozen=True, kw_only=True):
    """What `get_health()` reports.

    `latency_ms` is that of a ping just now, None when nothing answered. `conversations` counts
    what is held in this process: copies and what was written during an outage. Of these,
    `to_replay` wait under `recovery="replay"` to be applied to Redis. `replay_conflicts` counts the
    changes that could not be applied as they were: fields that somebody else had changed, and
    conversations that were deleted meanwhile or did not fit.
    """

    connected: bool
    latency_ms: float | None
    using_fallback: bool
    last_error: str | None
    conversations: int = 0
    to_replay: int = 0
    replay_conflicts: int = 0
