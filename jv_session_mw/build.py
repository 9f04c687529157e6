"""The composition root: arguments -> a store, checked at start."""

from typing import Any, Generic, Literal, cast

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from typing_extensions import TypeVar

from jv_session_mw.arguments import (
    kind_of,
    require_choice,
    require_seconds,
    require_text,
    require_whole,
)
from jv_session_mw.backends.base import Backend
from jv_session_mw.backends.fallback import FallbackBackend
from jv_session_mw.backends.guard import GuardedBackend
from jv_session_mw.backends.memory import Memory
from jv_session_mw.backends.memory_backend import MemoryBackend
from jv_session_mw.backends.redis.address import Address, read_parts, read_url
from jv_session_mw.backends.redis.backend import RedisBackend
from jv_session_mw.backends.redis.batching import Delivery
from jv_session_mw.backends.redis.topology import (
    Client,
    Connect,
    Credentials,
    Options,
    connect_like,
    connect_to,
    connection_options,
)
from jv_session_mw.backends.replayed_calls import ReplayedCalls
from jv_session_mw.changes import Rules
from jv_session_mw.codec import Codec, JsonCodec
from jv_session_mw.errors import ConfigurationError
from jv_session_mw.state.kind import state_kind
from jv_session_mw.store import ConversationStore
from jv_session_mw.telemetry import Telemetry

S = TypeVar("S", default=dict[str, Any])

# After half of the deadline a command is sent again over another connection. At the deadline the
# request gives up. The connection is given twice that: this process may have been too busy to read.
DEADLINES_TO_DOUBT = 0.5
DEADLINES_FOR_A_CONNECTION = 2


class RedisConversationStore(ConversationStore[S], Generic[S]):
    """Conversations in Redis 6.2 or newer, or Valkey.

    *url* (`redis://`, `rediss://` for TLS, `unix://`, `redis+sentinel://host,host/service`,
    `redis+cluster://host,host`) wins over *host*, *port*, *db*, *username*, *password* and *tls*.
    Instead of these, *client*, a `redis.asyncio` client, may tell where the server is; it is
    neither used nor closed. Times are in seconds. *window* is how many messages a load brings,
    *max_messages* how many are kept. A commit counts once *wait_replicas* replicas have it.

    While the server is away, `fallback="memory"` serves from this process. What was written there
    stays there (`recovery="sticky"`) or is applied to the server when it is back
    (`recovery="replay"`). `fallback=None` raises `StoreUnavailable`, which the middleware answers
    with 503.

    Raises `ConfigurationError` for what cannot work; it connects later, in `initialize()` or on
    first use.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        credential_provider: Credentials | None = None,
        tls: bool = False,
        client: Client | None = None,
        wait_replicas: int = 0,
        key_prefix: str = "conv:",
        ttl_seconds: float = 3600,
        max_lifetime_seconds: float | None = None,
        window: int = 50,
        max_messages: int | None = None,
        state_type: type[S] | None = None,
        messages_key: str = "messages",
        codec: Codec | None = None,
        on_conflict: Literal["merge", "reject"] = "merge",
        fallback: Literal["memory"] | None = "memory",
        recovery: Literal["sticky", "replay"] = "sticky",
        connect_timeout: float = 0.2,
        deadline: float = 0.3,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        rules = _rules(ttl_seconds, max_lifetime_seconds, max_messages, on_conflict)
        require_choice("fallback", fallback, ("memory", None))
        require_choice("recovery", recovery, ("sticky", "replay"))
        require_whole("window", window)
        require_whole("port", port, most=65_535)
        require_whole("db", db, least=0)
        require_choice("tls", tls, (True, False))
        require_seconds("connect_timeout", connect_timeout)
        require_seconds("deadline", deadline)
        require_whole("wait_replicas", wait_replicas, least=0)
        require_text("key_prefix", key_prefix)
        delivery = Delivery(
            doubt_after=deadline * DEADLINES_TO_DOUBT,
            give_up_after=deadline * DEADLINES_FOR_A_CONNECTION,
            replicas=wait_replicas,
        )
        ours = connection_options(connect_timeout, delivery.give_up_after)
        if credential_provider is not None:
            ours = {**ours, "credential_provider": credential_provider}
        parts = read_parts(host, port, db, username, password, tls=tls)
        redis = RedisBackend(
            _connect(url, client, parts, ours), rules, prefix=key_prefix, delivery=delivery
        )
        telemetry = Telemetry("redis", tracer_provider, meter_provider)
        super().__init__(
            backend=_guarded(
                redis,
                rules,
                fallback,
                window=window,
                deadline=deadline,
                traces_replay=telemetry if recovery == "replay" else None,
            ),
            telemetry=telemetry,
            codec=_codec(codec),
            kind=state_kind(state_type or cast("type[S]", dict)),
            rules=rules,
            window=window,
            deadline=deadline,
            messages_key=messages_key,
        )


class MemoryConversationStore(ConversationStore[S], Generic[S]):
    """Conversations in this process, gone with it: for development and tests.

    Bounded by *max_entries* and *max_bytes*; the least recently used one goes first.
    """

    def __init__(
        self,
        *,
        ttl_seconds: float = 3600,
        max_lifetime_seconds: float | None = None,
        window: int = 50,
        max_messages: int | None = None,
        state_type: type[S] | None = None,
        messages_key: str = "messages",
        codec: Codec | None = None,
        on_conflict: Literal["merge", "reject"] = "merge",
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        rules = _rules(ttl_seconds, max_lifetime_seconds, max_messages, on_conflict)
        require_whole("window", window)
        require_whole("max_entries", max_entries)
        require_whole("max_bytes", max_bytes)
        super().__init__(
            backend=MemoryBackend(Memory(rules, max_entries=max_entries, max_bytes=max_bytes)),
            telemetry=Telemetry("memory", tracer_provider, meter_provider),
            codec=_codec(codec),
            kind=state_kind(state_type or cast("type[S]", dict)),
            rules=rules,
            window=window,
            deadline=1.0,
            messages_key=messages_key,
        )


def _connect(url: str | None, client: Client | None, parts: Address, ours: Options) -> Connect:
    if client is None:
        return connect_to(parts if url is None else read_url(url), ours)
    if url is not None:
        raise ConfigurationError("url and client both say where the server is: give one of them")
    return connect_like(client, ours)


def _guarded(
    redis: Backend,
    rules: Rules,
    fallback: str | None,
    *,
    window: int,
    deadline: float,
    traces_replay: Telemetry | None,
) -> Backend:
    """Return *redis* behind what finds out that it is away, and what serves meanwhile, if any.

    With *traces_replay* there is a replay afterwards, whose calls it traces.
    """
    if fallback is None:
        return GuardedBackend(redis, consequence="requests are answered with 503")
    guarded = GuardedBackend(redis, consequence="memory serves")
    if traces_replay is None:
        return FallbackBackend(guarded, rules, window=window)
    calls = ReplayedCalls(guarded, traces_replay, deadline)
    return FallbackBackend(guarded, rules, window=window, replaying=calls)


def _rules(
    ttl_seconds: float,
    max_lifetime_seconds: float | None,
    max_messages: int | None,
    on_conflict: str,
) -> Rules:
    require_seconds("ttl_seconds", ttl_seconds)
    if max_lifetime_seconds is not None:
        require_seconds("max_lifetime_seconds", max_lifetime_seconds)
    if max_messages is not None:
        require_whole("max_messages", max_messages)
    require_choice("on_conflict", on_conflict, ("merge", "reject"))
    return Rules(
        ttl_ms=max(1, round(ttl_seconds * 1000)),
        lifetime_ms=max(1, round(max_lifetime_seconds * 1000)) if max_lifetime_seconds else 0,
        max_messages=max_messages or 0,
        reject=on_conflict == "reject",
    )


def _codec(codec: Codec | None) -> Codec:
    if codec is None:
        return JsonCodec()
    if isinstance(codec, type) or not callable(getattr(codec, "decode_all", None)):
        raise ConfigurationError(f"codec= is {kind_of(codec)}: give a codec, such as JsonCodec()")
    return codec
