"""Promise: an outage is told by spans, counters and one line in the log, and is no error."""

import logging
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

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


async def test_each_call_of_a_replay_is_a_span_of_no_request_that_names_the_conversation(
    own_valkey: RedisServer, recorder: Recorder
) -> None:
    store = RedisConversationStore(
        url=own_valkey.url, recovery="replay", tracer_provider=recorder.tracer_provider
    )
    async with serving(traced(store, recorder)) as url, AsyncVisitor.at(url) as visitor:
        own_valkey.kill()
        await visitor.turn("endpoint", "one")
        own_valkey.start()
        await eventually(lambda: not store.condition().to_replay)
    taken, save, load = that_worked(recorder)
    assert [taken.name, save.name, load.name] == [
        "conversation.save", "conversation.save", "conversation.load",
    ]  # fmt: skip
    for span in (save, load):
        assert (span.kind, span.parent) == (SpanKind.INTERNAL, None)
        assert attributes(span)["jv_session.replay"] is True
        assert attributes(span)["jv_session.state.version"] == 1
        same_conversation = attributes(taken)["gen_ai.conversation.id"]
        assert attributes(span)["gen_ai.conversation.id"] == same_conversation
        assert "jv_session.fallback" not in attributes(span)
    assert attributes(save)["jv_session.save.result"] == "written"
    assert attributes(load)["jv_session.load.result"] == "hit"
    assert "jv_session.replay" not in attributes(taken)


async def test_a_replayed_delete_is_a_span_too(
    new_valkey: Callable[..., RedisServer], recorder: Recorder
) -> None:
    server = new_valkey(persistent=True)
    id = "x" * 300  # of which the key has only a hash
    async with RedisConversationStore(
        url=server.url, recovery="replay", tracer_provider=recorder.tracer_provider
    ) as store:
        await store.set(id, {"a": 1})
        server.kill()
        await store.delete(id)
        recorder.forget()
        server.start()
        await eventually(lambda: not store.condition().to_replay)
    delete, load = that_worked(recorder)
    assert attributes(delete)["jv_session.delete.result"] == "deleted"
    assert attributes(load)["jv_session.load.result"] == "miss"
    for span in (delete, load):
        assert attributes(span)["jv_session.replay"] is True
        assert "gen_ai.conversation.id" not in attributes(span)


def that_worked(recorder: Recorder) -> list[ReadableSpan]:
    """Return our spans without those of a replay that found the server away still."""
    return [span for span in recorder.ours() if span.status.status_code is StatusCode.UNSET]


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
