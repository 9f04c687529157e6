"""How often the Redis backend goes to the server: each exchange of a batch is one round trip."""

from collections.abc import Sequence

import pytest

from jv_session_mw.backends.redis.answers import Refused
from jv_session_mw.backends.redis.batching import Batcher
from jv_session_mw.backends.redis.waiting import Waiting
from jv_session_mw.backends.redis.wire import Wire


class RoundTrips:
    """The number of exchanges so far, over any wire."""

    def __init__(self) -> None:
        self.count = 0


class CountedWire:
    """A wire whose exchanges are counted."""

    def __init__(self, wire: Wire, trips: RoundTrips) -> None:
        self._wire = wire
        self._trips = trips

    async def exchange(self, batch: Sequence[Waiting]) -> Refused:
        self._trips.count += 1
        return await self._wire.exchange(batch)

    async def close(self) -> None:
        await self._wire.close()


def count_round_trips(patch: pytest.MonkeyPatch) -> RoundTrips:
    """Count them from now on."""
    new_wire = Batcher._new_wire  # pyright: ignore[reportPrivateUsage]
    trips = RoundTrips()

    def counted(batcher: Batcher) -> CountedWire:
        return CountedWire(new_wire(batcher), trips)

    patch.setattr(Batcher, "_new_wire", counted)
    return trips
