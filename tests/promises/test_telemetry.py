"""Promise: every store call is one span, in the right place, and says nothing about anybody."""

import os
import re
import subprocess
import sys
from collections.abc import Generator

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from websockets.asyncio.client import connect

import jv_session_mw
from jv_session_mw import ConversationStore, MemoryConversationStore
from tests.promises.apps import KEYS
from tests.promises.clients import AsyncVisitor, Way
from tests.promises.conftest import PATIENT_SECONDS
from tests.promises.recording import Recorder, attributes, traced
from tests.promises.serving import eventually, serving
from tests.servers import RedisServer

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
SECRET = "a-secret-that-only-the-conversation-knows"


@pytest.fixture
def app(store: ConversationStore, recorder: Recorder) -> FastAPI:
    """The chat under FastAPI's own telemetry, which sees what the store tells."""
    return traced(store, recorder)


@pytest.fixture(autouse=True)
def nothing_fails_to_detach(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """No test here may leave a span current in a context that is not its own."""
    yield
    assert "Failed to detach context" not in caplog.text


def parent_of(span: ReadableSpan, spans: list[ReadableSpan]) -> ReadableSpan:
    parent = span.parent
    assert parent is not None, f"{span.name} has no parent"
    (found,) = [each for each in spans if id_of(each) == parent.span_id]
    return found


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    id: int = span.context.span_id
    return id


@pytest.mark.parametrize("place", ["endpoint", "stream", "stream-end", "sse"])
async def test_a_turn_is_one_load_and_one_save_inside_the_server_span(
    app: FastAPI, recorder: Recorder, place: str
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        recorder.forget()
        await visitor.turn(place, "now")
        await eventually(lambda: recorder.named(f"POST /{place}"))
        spans = list(recorder.spans)
        assert [span.name for span in recorder.ours()] == ["conversation.load", "conversation.save"]
        for span in recorder.ours():
            server = parent_of(span, spans)
            assert (server.name, server.kind) == (f"POST /{place}", SpanKind.SERVER)
            assert (server.end_time or 0) >= (span.end_time or 0)


async def test_a_websocket_turn_is_one_save_inside_its_server_span(
    app: FastAPI, recorder: Recorder
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        recorder.forget()
        address = url.replace("http", "ws") + "/socket"
        headers = visitor.ticket.headers
        async with connect(address, additional_headers=headers, proxy=None) as websocket:
            for mark in ("one", "two"):
                await websocket.send(mark)
                await websocket.recv()
        await eventually(lambda: any(span.kind is SpanKind.SERVER for span in recorder.spans))
    names = [span.name for span in recorder.ours()]
    assert names == ["conversation.load", "conversation.save", "conversation.save"]
    spans = list(recorder.spans)
    assert {parent_of(span, spans).kind for span in recorder.ours()} == {SpanKind.SERVER}


async def test_the_spans_of_the_redis_instrumentation_are_children_of_ours(
    app: FastAPI, recorder: Recorder, redis_spans: None
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        recorder.forget()
        await visitor.turn("stream", "now")
        await visitor.ask("DELETE", "/conversation")
        spans = list(recorder.spans)
    clients = [span for span in spans if span.kind is SpanKind.CLIENT]
    parents = [parent_of(span, spans).name for span in clients]
    assert parents == [
        "conversation.load", "conversation.save", "conversation.load", "conversation.delete",
    ]  # fmt: skip
    assert all(span.status.status_code is StatusCode.UNSET for span in clients)


async def test_our_spans_are_named_and_scoped_as_documented(
    app: FastAPI, recorder: Recorder, redis_spans: None
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "one")
        await visitor.read()
        await visitor.ask("DELETE", "/conversation")
    spans = {span.name: span for span in recorder.ours()}
    assert set(spans) == {"conversation.save", "conversation.load", "conversation.delete"}
    common = {
        "jv_session.store.backend", "jv_session.store.operation", "gen_ai.conversation.id",
    }  # fmt: skip
    assert set(attributes(spans["conversation.load"])) == common | {
        "jv_session.load.result", "jv_session.state.size", "jv_session.state.version",
        "jv_session.ttl",
    }  # fmt: skip
    assert set(attributes(spans["conversation.save"])) == common | {
        "jv_session.save.result", "jv_session.state.version", "jv_session.ttl",
    }  # fmt: skip
    assert set(attributes(spans["conversation.delete"])) >= common
    for name, span in spans.items():
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span)["jv_session.store.backend"] == "redis"
        assert attributes(span)["jv_session.store.operation"] == name.partition(".")[2]
        assert span.instrumentation_scope is not None
        scope = span.instrumentation_scope
        assert (scope.name, scope.version) == ("jv_session_mw", jv_session_mw.__version__)
        assert scope.schema_url == SCHEMA


async def test_all_spans_of_a_conversation_share_one_name_that_is_not_its_id(
    app: FastAPI, recorder: Recorder
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "one")
        await visitor.turn("stream", "two")
        await visitor.stranger().turn("endpoint", "another")
    named = [attributes(span).get("gen_ai.conversation.id") for span in recorder.spans]
    names = [name for name in named if name is not None]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{16}", str(name)) for name in names)
    (server,) = recorder.named("POST /stream")
    assert attributes(server)["gen_ai.conversation.id"] == names[0]


@pytest.mark.parametrize("way", ["cookie", "header"])
async def test_no_token_id_or_content_is_in_any_span(
    app: FastAPI, recorder: Recorder, redis_spans: None, way: Way, store: ConversationStore
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url, way) as visitor:
        answer = await visitor.ask("POST", "/reply?mark=none&hold=false")
        assert answer.status == 200
        (id,) = await store.keys()
        async with store.open(id) as conversation:
            conversation.state[SECRET] = SECRET
            conversation.messages.append({"role": "user", "content": SECRET})
        assert SECRET in str(await visitor.read())
        await visitor.ask("POST", "/rotate")
        await visitor.ask("DELETE", "/conversation")
        token = visitor.ticket.token or ""
    told = "\n".join(span.to_json() for span in recorder.spans)
    assert recorder.named("EVALSHA")
    for private in (id, SECRET, "Good day", *(part for part in token.split(".") if part)):
        assert private not in told


async def test_metrics_are_recorded_under_the_documented_names(
    app: FastAPI, recorder: Recorder, store: ConversationStore
) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "one")
        await visitor.read()
        points = recorder.points("jv_session.store.operation.duration")
        counts = {
            (attrs["jv_session.store.operation"], attrs["jv_session.result"]): point.count
            for point in points
            if isinstance(point, HistogramDataPoint) and (attrs := dict(point.attributes or {}))
        }
        assert counts == {("save", "written"): 1, ("load", "hit"): 1}
        assert recorder.total("jv_session.store.degraded") == 0
        assert len(recorder.points("jv_session.store.degraded")) == 1
        assert recorder.total("jv_session.memory.conversation.count") == 1
        assert recorder.total("jv_session.store.fallbacks") == 0
        for point in points:
            assert not {"gen_ai.conversation.id"} & set(point.attributes or {})


async def test_a_client_that_hangs_up_leaves_whole_spans(app: FastAPI, recorder: Recorder) -> None:
    async with serving(app) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        recorder.forget()
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            headers = visitor.ticket.headers
            async with client.stream("POST", "/held?mark=now", headers=headers) as response:
                async for text in response.aiter_text():
                    if "changed" in text:
                        break
        await eventually(lambda: recorder.named("conversation.save"))
    names = [span.name for span in recorder.ours()]
    assert names == ["conversation.load", "conversation.save"]
    assert len({span.context.trace_id for span in recorder.ours() if span.context}) == 1


WITHOUT_THE_SDK = """
import asyncio, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry.sdk"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import httpx
from tests.promises.apps import fastapi_app

async def main():
    app = fastapi_app()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
        first = await client.post("/endpoint?mark=one")
        assert first.status_code == 200, first
        await client.post("/stream?mark=two")
        state = (await client.get("/read")).json()["state"]
        assert state["nested"]["marks"] == ["one", "two"], state

asyncio.run(main())
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
print("it works")
"""


def test_everything_works_where_there_is_no_sdk(valkey: RedisServer) -> None:
    environ = {"REDIS_URL": valkey.url, "JV_SESSION_SECRET_KEYS": KEYS[0]}
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_SDK],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=PATIENT_SECONDS * 3,
        check=False,
    )
    assert run.stdout == "it works\n", run.stderr


IMPORTED = """
import sys
import redis.asyncio  # which imports the SDK by itself where it is installed

before = set(sys.modules)
import jv_session_mw
print([name for name in set(sys.modules) - before if name.startswith("opentelemetry.sdk")])
"""


def test_importing_the_package_imports_nothing_of_the_sdk() -> None:
    run = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, check=True)
    assert run.stdout == b"[]\n"


async def test_a_meter_alone_measures_from_the_first_call(recorder: Recorder) -> None:
    async with MemoryConversationStore(meter_provider=recorder.meter_provider) as store:
        await store.get("id")
    (point,) = recorder.points("jv_session.store.operation.duration")
    assert dict(point.attributes or {})["jv_session.result"] == "miss"
    assert not recorder.spans
