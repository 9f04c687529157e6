"""A call that nobody waits for any longer costs nothing that comes after it."""

import asyncio
import gc

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from jv_session_mw.tracking import (
    SessionNotFound,
    SupabaseSessionTracker,
    TrackerUnavailable,
)
from tests.gateway import Gateway
from tests.promises.serving import eventually
from tests.tracking.conftest import supabase

ALICE = "alice"


async def test_a_project_that_hangs_is_unavailable_after_the_time_out(gateway: Gateway) -> None:
    tracker = supabase(gateway, timeout=0.2)
    gateway.may_answer.clear()
    tracker.touch("s", owner=ALICE, messages=1)
    for call in (tracker.get("s", owner=ALICE), tracker.flush(), tracker.delete_owner(ALICE)):
        with pytest.raises(TrackerUnavailable) as caught:
            await call
        assert (caught.value.reason, caught.value.retryable) == ("timeout", True)
    gateway.may_answer.set()
    assert (await tracker.get("s", owner=ALICE)).message_count == 1
    await tracker.close()


async def test_the_connection_of_a_call_that_is_given_up_is_used_again(
    gateway: Gateway, supabase_tracker: SupabaseSessionTracker
) -> None:
    ports = list[int]()

    def note(request: Request) -> None:
        ports.append(request.scope["client"][1])

    gateway.interfere = note
    gateway.may_answer.clear()
    before = asyncio.all_tasks()
    asked = asyncio.create_task(supabase_tracker.get("s", owner=ALICE))
    await eventually(lambda: ports)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    gateway.may_answer.set()
    await eventually(lambda: asyncio.all_tasks() == before)
    with pytest.raises(SessionNotFound):
        await supabase_tracker.get("s", owner=ALICE)
    assert ports == [ports[0]] * 2


async def test_what_becomes_of_a_call_that_is_given_up_is_no_error(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = supabase(gateway, timeout=0.2)
    gateway.may_answer.clear()
    before = asyncio.all_tasks()
    with pytest.raises(TrackerUnavailable):
        await tracker.get("s", owner=ALICE)
    gateway.interfere = lambda _: PlainTextResponse("bad gateway", 502)
    gateway.may_answer.set()
    await eventually(lambda: asyncio.all_tasks() == before)
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    await tracker.close()


async def test_no_call_goes_on_after_its_tracker_is_closed() -> None:
    asked = asyncio.Event()

    class Silent(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            asked.set()

    server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tracker = SupabaseSessionTracker(url=f"http://127.0.0.1:{port}", key="key", timeout=600)
    before = asyncio.all_tasks()
    asking = asyncio.create_task(tracker.get("s", owner=ALICE))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(60):
        await tracker.close()
    assert asyncio.all_tasks() == before
    server.close()


async def test_a_call_in_another_event_loop_is_left_to_that(
    gateway: Gateway, supabase_tracker: SupabaseSessionTracker
) -> None:
    def ask() -> None:
        with pytest.raises(SessionNotFound):
            asyncio.run(supabase_tracker.get("s", owner=ALICE))

    gateway.keeps_alive = False
    gateway.may_answer.clear()
    asking = asyncio.create_task(asyncio.to_thread(ask))
    await eventually(lambda: gateway.calls)
    await supabase_tracker.open()
    await supabase_tracker.close()
    gateway.may_answer.set()
    await asking
