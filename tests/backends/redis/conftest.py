"""Fixtures of the Redis backend alone: on each kind of server, or on one."""

from collections.abc import AsyncGenerator

import pytest

from jv_session_mw.backends.redis.backend import RedisBackend
from tests.backends.harness import Bytes, redis_backend
from tests.servers import RedisServer


class Place:
    """A backend, and the bytes in its server."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.backend = redis_backend(server)
        self.stored = Bytes(server)

    async def close(self) -> None:
        await self.backend.close()
        self.stored.close()


@pytest.fixture
async def everywhere(redis_server: RedisServer) -> AsyncGenerator[Place]:
    """A place on each kind of server."""
    place = Place(redis_server)
    yield place
    await place.close()


@pytest.fixture
async def place(valkey: RedisServer) -> AsyncGenerator[Place]:
    """A place where the kind of server does not matter."""
    place = Place(valkey)
    yield place
    await place.close()


@pytest.fixture
def backend(place: Place) -> RedisBackend:
    return place.backend


@pytest.fixture
def stored(place: Place) -> Bytes:
    return place.stored
