"""Trackers of every kind, each with its database empty when a test begins."""

from collections.abc import AsyncGenerator

import pytest

from jv_session_mw.tracking import MemorySessionTracker, SessionTracker, SupabaseSessionTracker
from tests.gateway import Gateway, key_of
from tests.postgres import KINDS
from tests.projects import TRACKED, Databases


def supabase(gateway: Gateway, **options: object) -> SupabaseSessionTracker:
    """Return a tracker that writes only when it is told to, unless *options* say otherwise."""
    settings = {"flush_interval": 3600.0, "timeout": 20.0, **options}
    return SupabaseSessionTracker(url=gateway.url, key=key_of("service_role"), **settings)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", *KINDS])
async def tracker(
    request: pytest.FixtureRequest, databases: Databases
) -> AsyncGenerator[SessionTracker]:
    """Run the test once for each kind of tracker."""
    if request.param == "memory":
        memory = MemorySessionTracker()
        await memory.open()
        yield memory
        await memory.close()
        return
    server = await databases.get(request.param)
    async with Gateway(server.url(TRACKED, "authenticator")).open() as gateway:
        tracker = supabase(gateway)
        await tracker.open()
        yield tracker
        await tracker.close()


@pytest.fixture
async def supabase_tracker(gateway: Gateway) -> AsyncGenerator[SupabaseSessionTracker]:
    """A tracker that writes through `gateway`, which can be told to fail."""
    tracker = supabase(gateway)
    yield tracker
    await tracker.close()
