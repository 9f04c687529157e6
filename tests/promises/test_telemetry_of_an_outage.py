"""Promise: an outage is told by spans, counters and one line in the log, and is no error."""

import logging

import pytest
from opentelemetry.trace import StatusCode

from jv_session_mw import RedisConversationStore
from tests.promises.clients import AsyncVisitor
from tests.promises.recording import Recorder, attributes, traced
from tests.promises.serving import eventually, serving
from tests.servers import RedisServer


async def test_a_fallback_is_an_event_a_count_and_no_error(
    own_valkey: RedisServer, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisConversationStore(
        url=own_valkey.url,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )
    with caplog.at_level(logging.INFO, logger="jv_session_mw"):
        async with serving(traced(store, recorder)) as url, AsyncVisitor.at(url) as visitor:
            await visitor.turn("endpoint", "one")
            own_valkey.kill()
            recorder.forget()
            await visitor.turn("endpoint", "two")
            load, save = recorder.ours()
            assert recorder.total("jv_session.store.degraded") == 1
            assert recorder.total("jv_session.store.fallbacks") == 2
            own_valkey.start()
            await eventually(lambda: recorder.total("jv_session.store.degraded") == 0)
    for span in (load, save):
        assert [event.name for event in span.events] == ["jv_session.store.fallback"]
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span)["jv_session.fallback"] is True
        assert attributes(span)["jv_session.store.served_by"] == "memory"
        assert attributes(span)["jv_session.fallback.reason"] == "connection"
        assert "error.type" not in attributes(span)
    levels = [record.levelname for record in caplog.records if record.name == "jv_session_mw"]
    assert levels == ["WARNING", "INFO"]


async def test_the_background_probe_makes_no_spans(
    own_valkey: RedisServer, recorder: Recorder, redis_spans: None
) -> None:
    store = RedisConversationStore(
        url=own_valkey.url,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )
    async with serving(traced(store, recorder)) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "one")
        own_valkey.kill()
        await visitor.turn("endpoint", "two")
        recorder.forget()
        own_valkey.start()
        await eventually(lambda: not store.condition().degraded)
        assert recorder.spans == ()


async def test_what_is_replayed_has_no_span_of_ours_a_second_time(
    own_valkey: RedisServer, recorder: Recorder
) -> None:
    store = RedisConversationStore(
        url=own_valkey.url, recovery="replay", tracer_provider=recorder.tracer_provider
    )
    async with serving(traced(store, recorder)) as url, AsyncVisitor.at(url) as visitor:
        own_valkey.kill()
        await visitor.turn("endpoint", "one")
        (save,) = recorder.ours()
        assert attributes(save)["jv_session.fallback"] is True
        own_valkey.start()
        await eventually(lambda: not store.condition().to_replay)
        assert recorder.ours() == [save]


async def test_without_a_fallback_a_store_call_that_failed_is_an_error_span(
    own_valkey: RedisServer, recorder: Recorder
) -> None:
    store = RedisConversationStore(
        url=own_valkey.url,
        fallback=None,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )
    async with serving(traced(store, recorder)) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "one")
        own_valkey.kill()
        recorder.forget()
        assert (await visitor.ask("GET", "/read")).status == 503
    (load,) = recorder.ours()
    assert load.status.status_code is StatusCode.ERROR
    assert load.status.description is None
    assert attributes(load)["error.type"] == "jv_session_mw.errors.StoreUnavailable"
    assert not load.events
