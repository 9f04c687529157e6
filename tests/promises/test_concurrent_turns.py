"""Promise: two concurrent turns never erase each other, and a collision is reported."""

import asyncio
from typing import cast

import pytest

from jv_session_mw import ConversationStore, RedisConversationStore
from tests.promises.clients import AsyncVisitor
from tests.promises.conftest import PATIENT_SECONDS, GetServer, Visit
from tests.promises.recording import Recorder
from tests.promises.serving import KINDS, serving
from tests.promises.slow_app import Pause, slow_app
from tests.servers import RedisServer


async def two_turns(
    store: ConversationStore, first: str, second: str
) -> tuple[int, int, dict[str, object]]:
    """Let both turns load, then finish them in order; return their statuses and what is stored."""
    pauses = {"first": Pause(), "second": Pause()}
    async with serving(slow_app(store, pauses)) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        turns = [
            asyncio.create_task(visitor.twin().ask("POST", f"/slow?at={at}&field={field}"))
            for at, field in (("first", first), ("second", second))
        ]
        statuses: list[int] = []
        await asyncio.gather(*(pause.arrived.wait() for pause in pauses.values()))
        for at, turn in zip(pauses, turns, strict=True):
            pauses[at].go.set()
            statuses.append((await turn).status)
        return statuses[0], statuses[1], await visitor.read()


def contents(stored: dict[str, object]) -> list[str]:
    messages = cast("list[dict[str, str]]", stored["messages"])
    return [message["content"] for message in messages]


def state_of(stored: dict[str, object]) -> dict[str, object]:
    return cast("dict[str, object]", stored["state"])


async def test_changes_of_different_fields_and_appended_messages_all_stay(
    store: ConversationStore, recorder: Recorder
) -> None:
    first, second, stored = await two_turns(store, "mine", "yours")
    assert (first, second) == (200, 200)
    state = {"mark": "before", "nested": {"marks": ["before"]}, "mine": "first", "yours": "second"}
    assert stored["state"] == state
    assert contents(stored) == ["before", "first", "second"]
    assert recorder.total("jv_session.store.conflicts") == 0
    assert all(not span.events for span in recorder.ours())


@pytest.mark.parametrize("field", ["mark", "fresh"])
async def test_the_last_writer_of_a_field_wins_and_the_collision_is_reported(
    store: ConversationStore, recorder: Recorder, field: str
) -> None:
    first, second, stored = await two_turns(store, field, field)
    assert (first, second) == (200, 200)
    assert state_of(stored)[field] == "second"
    assert contents(stored) == ["before", "first", "second"]
    saves = recorder.named("conversation.save")
    events = [[event.name for event in span.events] for span in saves]
    assert events == [[], [], ["jv_session.store.conflict"]]
    assert recorder.total("jv_session.store.conflicts") == 1


async def test_reject_refuses_the_second_turn_as_a_whole_with_409(
    valkey: RedisServer, recorder: Recorder
) -> None:
    store = RedisConversationStore(
        url=valkey.url,
        on_conflict="reject",
        deadline=PATIENT_SECONDS,
        tracer_provider=recorder.tracer_provider,
        meter_provider=recorder.meter_provider,
    )
    first, second, stored = await two_turns(store, "mark", "mark")
    assert (first, second) == (200, 409)
    assert state_of(stored)["mark"] == "first"
    assert contents(stored) == ["before", "first"]
    assert recorder.total("jv_session.store.conflicts") == 1


async def test_the_same_value_from_both_is_no_collision(
    store: ConversationStore, recorder: Recorder
) -> None:
    async with serving(slow_app(store, {})) as url, AsyncVisitor.at(url) as visitor:
        await visitor.turn("endpoint", "before")
        (id,) = await store.keys()
        async with store.open(id) as one, store.open(id) as two:
            one.state["theme"] = two.state["theme"] = "dark"
    assert recorder.total("jv_session.store.conflicts") == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_many_turns_at_the_same_time_all_leave_their_message(
    shared_servers: GetServer, visit: Visit, valkey: RedisServer, kind: str
) -> None:
    server = shared_servers(kind)
    visitor = visit(server)
    visitor.turn("endpoint", "before")
    url = f"http://127.0.0.1:{server.port}"
    async with AsyncVisitor.at(url) as client:
        client.ticket.token = visitor.ticket.token
        marks = [f"turn-{number}" for number in range(40)]
        await asyncio.gather(*(client.twin().turn("append-only", mark) for mark in marks))
        stored = await client.read()
    assert sorted(contents(stored)) == sorted(["before", *marks])
