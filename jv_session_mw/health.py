"""How the store is, for dashboards and readiness probes."""

from msgspec import Struct


class StoreHealth(Struct, frozen=True, kw_only=True):
    """What `get_health()` reports.

    `latency_ms` is that of a ping just now, None when nothing answered. `in_memory` counts the
    conversations in the memory of this process: copies, and those written during an outage. Of
    these, `to_replay` wait under `recovery="replay"` to be applied to Redis. `replay_conflicts`
    counts the changes that could not be applied as they were, because somebody else had changed
    the field, the conversation was deleted meanwhile, or the journal was full.
    """

    connected: bool
    latency_ms: float | None
    using_fallback: bool
    last_error: str | None
    in_memory: int = 0
    to_replay: int = 0
    replay_conflicts: int = 0
