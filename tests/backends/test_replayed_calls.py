"""The calls of a replay: spans for what reaches the store, and for nothing else."""

import pytest
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.trace import SpanKind

from jv_session_mw.backends.breaker import CONSECUTIVE_FAILURES
from jv_session_mw.backends.replayed_calls import ReplayedCalls
from jv_session_mw.errors import StoreUnavailable
from jv_session_mw.telemetry import Telemetry
from tests.backends.harness import KEY, TIMEOUT, appends, guarded, load
from tests.promises.recording import Recorder
from tests.servers import RedisServer


async def test_the_spans_of_the_redis_instrumentation_are_children_of_a_replay(
    valkey: RedisServer,
) -> None:
    recorder, instrumentor = Recorder(), RedisInstrumentor()
    instrumentor.instrument(  # pyright: ignore[reportUnknownMemberType]
        tracer_provider=recorder.tracer_provider
    )
    guard = guarded(valkey.url)
    calls = ReplayedCalls(guard, Telemetry("redis", recorder.tracer_provider), TIMEOUT)
    try:
        await guard.open(TIMEOUT)
        recorder.forget()  # the scripts that were loaded
        await calls.commit(KEY, appends(0, b"1"))
        await calls.load(KEY, 1)
        await calls.delete(KEY)
    finally:
        instrumentor.uninstrument()
        await guard.close()
    ours = [span for span in recorder.spans if span.kind is SpanKind.INTERNAL]
    clients = [span for span in recorder.spans if span.kind is SpanKind.CLIENT]
    assert [span.name for span in ours] == [
        "conversation.save", "conversation.load", "conversation.delete",
    ]  # fmt: skip
    assert [span.parent for span in clients] == [span.context for span in ours]
    recorder.close()


async def test_a_replay_that_asks_again_while_the_store_is_away_makes_no_spans(
    own_valkey: RedisServer,
) -> None:
    recorder, guard = Recorder(), guarded(own_valkey.url)
    calls = ReplayedCalls(guard, Telemetry("redis", recorder.tracer_provider), TIMEOUT)
    own_valkey.kill()
    for _ in range(CONSECUTIVE_FAILURES):
        with pytest.raises(StoreUnavailable):
            await load(guard)
    with pytest.raises(StoreUnavailable, match="away"):
        await calls.commit(KEY, appends(0, b"1"))
    with pytest.raises(StoreUnavailable, match="away"):
        await calls.delete(KEY)
    assert recorder.spans == ()
    await guard.close()
    recorder.close()


async def test_a_replay_that_the_store_refuses_is_an_error_span(own_valkey: RedisServer) -> None:
    recorder, guard = Recorder(), guarded(own_valkey.url)
    calls = ReplayedCalls(guard, Telemetry("redis", recorder.tracer_provider), TIMEOUT)
    own_valkey.kill()
    with pytest.raises(StoreUnavailable):
        await calls.commit(KEY, appends(0, b"1"))
    (save,) = recorder.spans
    assert dict(save.attributes or {})["error.type"] == "jv_session_mw.errors.StoreUnavailable"
    await guard.close()
    recorder.close()
