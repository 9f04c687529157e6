"""The names of the attributes and events of spans and metrics, and where they come from.

Conventions: OpenTelemetry semantic conventions 1.44.0 (`error.type`, `gen_ai.conversation.id`).
"""

NAME = "jv_session_mw"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

BACKEND = "jv_session.store.backend"
OPERATION = "jv_session.store.operation"
SERVED_BY = "jv_session.store.served_by"
RESULT = "jv_session.result"  # on the metrics, which tell the operations apart by a label
SPAN_RESULT = "jv_session.{operation}.result"
SIZE = "jv_session.state.size"
VERSION = "jv_session.state.version"
TTL = "jv_session.ttl"
FALLBACK = "jv_session.fallback"
FALLBACK_REASON = "jv_session.fallback.reason"
REPLAY = "jv_session.replay"
CANCELLED = "jv_session.cancelled"
CONVERSATION_ID = "gen_ai.conversation.id"
ERROR_TYPE = "error.type"
FALLBACK_EVENT = "jv_session.store.fallback"
CONFLICT_EVENT = "jv_session.store.conflict"
CONFLICT_FIELDS = "jv_session.conflict.fields"

# Local Redis answers in a fraction of a millisecond, which the conventions' buckets hide.
BUCKETS = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]  # fmt: skip
