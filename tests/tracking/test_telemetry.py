"""Each call of a tracker to its database is one span, which tells nothing of what was written."""

import asyncio
from collections.abc import Generator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from starlette.responses import PlainTextResponse

from jv_session_mw.tracking import SessionNotFound, TrackerUnavailable
from tests.gateway import Gateway
from tests.promises.recording import Recorder
from tests.tracking.conftest import supabase

OWNER, ID, TITLE = "the-owner", "the-id", "the-title"


@pytest.fixture
def recorder() -> Generator[Recorder]:
    made = Recorder()
    yield made
    made.close()


async def test_every_call_is_one_span_with_its_operation(
    recorder: Recorder, gateway: Gateway
) -> None:
    tracker = supabase(
        gateway,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )
    tracker.touch(ID, owner=OWNER, messages=1, title=TITLE)
    assert len(recorder.spans) == 0
    await tracker.create(ID, owner=OWNER)
    await tracker.rename(ID, TITLE, owner=OWNER)
    await tracker.record(ID, "event", owner=OWNER, counters={"n": 1})
    await tracker.get(ID, owner=OWNER)
    await tracker.list(owner=OWNER)
    await tracker.pause(ID, owner=OWNER)
    await tracker.snapshot(ID, owner=OWNER)
    await tracker.delete(ID, owner=OWNER)
    await tracker.delete_owner(OWNER)
    await tracker.sweep()
    await tracker.close()
    names = [span.name.removeprefix("tracking.") for span in recorder.spans]
    assert names == [
        "flush", "create", "update", "record", "get", "list", "transition", "snapshot", "delete",
        "delete_owner", "sweep",
    ]  # fmt: skip
    for span, name in zip(recorder.spans, names, strict=True):
        assert span.kind is SpanKind.INTERNAL
        attributes = dict(span.attributes or {})
        assert attributes.pop("jv_session.tracking.backend") == "supabase"
        assert attributes.pop("jv_session.tracking.operation") == name
        if name == "flush":
            assert attributes.pop("jv_session.tracking.batch.size") == 1
            assert attributes.pop("jv_session.tracking.batch.refused") == 0
        assert attributes == {}
    assert not [span for span in recorder.spans if _tells(span)]
    durations = recorder.points("jv_session.tracking.operation.duration")
    assert len(durations) == len(names)


def _tells(span: ReadableSpan) -> bool:
    text = span.to_json()
    return any(secret in text for secret in (OWNER, ID, TITLE))


async def test_a_failure_is_an_error_with_its_type_and_no_message(
    recorder: Recorder, gateway: Gateway
) -> None:
    tracker = supabase(gateway, tracer_provider=recorder.tracer_provider)
    gateway.interfere = lambda _: PlainTextResponse("no", 502)
    with pytest.raises(TrackerUnavailable):
        await tracker.get(ID, owner=OWNER)
    gateway.interfere = lambda _: None
    with pytest.raises(SessionNotFound):
        await tracker.get(ID, owner=OWNER)
    with pytest.raises(SessionNotFound):
        await tracker.rename(ID, TITLE, owner=OWNER)
    (renamed,) = recorder.named("tracking.update")
    assert renamed.status.status_code is StatusCode.UNSET
    failed, missing = recorder.named("tracking.get")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description is None
    assert (failed.attributes or {})["error.type"] == "jv_session_mw.errors.TrackerUnavailable"
    assert len(failed.events) == 0
    assert missing.status.status_code is StatusCode.UNSET  # that nothing is there is an answer
    await tracker.close()


async def test_who_is_cancelled_leaves_a_span_that_says_so(
    recorder: Recorder, gateway: Gateway
) -> None:
    tracker = supabase(gateway, tracer_provider=recorder.tracer_provider)
    gateway.may_answer.clear()
    waiting = asyncio.create_task(tracker.get(ID, owner=OWNER))
    async with asyncio.timeout(20):
        while not gateway.calls:  # noqa: ASYNC110  # the gateway has no event for it
            await asyncio.sleep(0.005)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (span,) = recorder.named("tracking.get")
    assert (span.attributes or {})["jv_session.cancelled"] is True
    assert span.status.status_code is StatusCode.UNSET
    gateway.may_answer.set()
    await tracker.close()


async def test_a_flush_by_itself_belongs_to_no_request(
    recorder: Recorder, gateway: Gateway
) -> None:
    tracker = supabase(gateway, tracer_provider=recorder.tracer_provider, flush_interval=0.001)
    tracer = recorder.tracer_provider.get_tracer("request")
    with tracer.start_as_current_span("request"):
        tracker.touch(ID, owner=OWNER, messages=1)
    async with asyncio.timeout(20):
        while not recorder.named("tracking.flush"):  # noqa: ASYNC110  # nor has the recorder
            await asyncio.sleep(0.005)
    (flush,) = recorder.named("tracking.flush")
    assert flush.parent is None
    with tracer.start_as_current_span("request") as request:
        await tracker.get(ID, owner=OWNER)
        assert trace.get_current_span() is request
    (get,) = recorder.named("tracking.get")
    assert get.parent is not None
    assert get.parent.span_id == request.get_span_context().span_id
    await tracker.close()


async def test_what_waits_and_what_is_lost_is_measured(
    recorder: Recorder, gateway: Gateway
) -> None:
    tracker = supabase(gateway, meter_provider=recorder.meter_provider, max_pending=1)
    tracker.touch(ID, owner=OWNER, messages=1)
    tracker.touch("another", owner=OWNER, messages=1)

    def value(metric: str) -> int | float:
        (point,) = recorder.points(metric)
        assert isinstance(point, NumberDataPoint)
        return point.value

    assert value("jv_session.tracking.pending") == 1
    assert value("jv_session.tracking.dropped") == 1
    await tracker.close()
    assert value("jv_session.tracking.pending") == 0
