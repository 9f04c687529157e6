"""Promise: what is looked at is told of all stores and trackers, not of the first one alone."""

import gc
from collections.abc import Generator

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from jv_session_mw import ConversationStore, MemoryConversationStore, RedisConversationStore
from jv_session_mw.tracking import MemorySessionTracker
from tests.promises.recording import Recorder
from tests.servers import RedisServer
from tests.test_sdk_arrives import words_of

DEGRADED = "jv_session.store.degraded"
HELD = "jv_session.memory.conversation.count"
DROPPED = "jv_session.tracking.dropped"

# In a process of its own: a global provider is set once and for all.
AROUND_AN_SDK = """
import asyncio
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from jv_session_mw import MemoryConversationStore
from tests.promises.recording import Recorder

async def main():
    recorder = Recorder()
    before = MemoryConversationStore()
    metrics.set_meter_provider(recorder.meter_provider)
    after = MemoryConversationStore()
    named = MemoryConversationStore(meter_provider=recorder.meter_provider)
    for store in (before, after, named):
        await store.set("id", {"a": 1})
    print(recorder.total("jv_session.memory.conversation.count"))

asyncio.run(main())
"""


@pytest.fixture
def recorder() -> Generator[Recorder]:
    made = Recorder()
    yield made
    made.close()


def redis_store(url: str, recorder: Recorder) -> ConversationStore:
    return RedisConversationStore(url=url, meter_provider=recorder.meter_provider)


def by_backend(recorder: Recorder, metric: str) -> dict[object, float]:
    return {
        (point.attributes or {})["jv_session.store.backend"]: point.value
        for point in recorder.points(metric)
        if isinstance(point, NumberDataPoint)
    }


async def test_one_store_of_several_that_is_away_is_told(
    valkey: RedisServer, own_valkey: RedisServer, recorder: Recorder
) -> None:
    own_valkey.kill()
    async with (
        redis_store(valkey.url, recorder) as first,
        redis_store(own_valkey.url, recorder) as second,
    ):
        await first.get("id")
        await second.get("id")
        assert by_backend(recorder, DEGRADED) == {"redis": 1}


async def test_each_backend_and_each_store_is_counted(recorder: Recorder) -> None:
    stores = [MemoryConversationStore(meter_provider=recorder.meter_provider) for _ in range(2)]
    away = redis_store("redis://127.0.0.1:1", recorder)
    for store in [*stores, away]:
        await store.set("id", {"a": 1})
    assert by_backend(recorder, HELD) == {"memory": 2, "redis": 1}
    await away.close()


async def test_a_store_that_comes_after_another_has_gone_is_seen(recorder: Recorder) -> None:
    first = MemoryConversationStore(meter_provider=recorder.meter_provider)
    await first.set("id", {"a": 1})
    del first
    gc.collect()
    assert recorder.points(HELD) == []
    second = MemoryConversationStore(meter_provider=recorder.meter_provider)
    await second.set("id", {"a": 1})
    assert by_backend(recorder, HELD) == {"memory": 1}


async def test_each_provider_sees_its_own_stores(recorder: Recorder) -> None:
    store = MemoryConversationStore(meter_provider=recorder.meter_provider)
    other = Recorder()
    elsewhere = [MemoryConversationStore(meter_provider=other.meter_provider) for _ in range(2)]
    for each in (store, *elsewhere):
        await each.set("id", {"a": 1})
    assert (recorder.total(HELD), other.total(HELD)) == (1, 2)
    other.close()


def test_what_a_tracker_has_lost_stays_counted_when_it_is_gone(recorder: Recorder) -> None:
    for expected in (1, 2):
        tracker = MemorySessionTracker(meter_provider=recorder.meter_provider)
        tracker.touch("", owner=None)
        assert recorder.total(DROPPED) == expected
        del tracker
        gc.collect()
        assert recorder.total(DROPPED) == expected


def test_stores_from_before_and_after_an_sdk_are_seen_together() -> None:
    assert words_of(AROUND_AN_SDK) == ["3"]
