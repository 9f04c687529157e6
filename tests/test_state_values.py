"""Keys and times of a typed state: they come back as they were, or are refused."""

import dataclasses
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from jv_session_mw import MemoryConversationStore, UnsupportedValue
from tests.autumn import Autumn
from tests.handles import TypedHandle


class Color(Enum):
    RED = "red"


class Keyed(msgspec.Struct):
    of_numbers: dict[float, int] = {}
    of_enums: dict[Color, int] = {}
    of_ids: dict[UUID, int] = {}


class KeyedModel(BaseModel):
    of_dates: dict[date, int] = {}
    of_decimals: dict[Decimal, int] = {}
    of_ids: dict[UUID, int] = {}


async def test_keys_come_back_as_they_were_or_are_refused_by_the_name_of_their_field() -> None:
    store = MemoryConversationStore(state_type=Keyed)
    written = Keyed({1.5: 1}, {Color.RED: 2})
    async with store.open("id") as conversation:
        conversation.state = written
    async with store.open("id") as conversation:
        assert conversation.state == written
    with pytest.raises(UnsupportedValue, match=r"state\.of_ids"):
        async with store.open("id") as conversation:
            conversation.state.of_ids[UUID(int=1)] = 3


async def test_a_model_has_dates_decimals_and_uuids_for_keys() -> None:
    store = MemoryConversationStore(state_type=KeyedModel)
    written = KeyedModel(
        of_dates={date(2026, 5, 1): 1}, of_decimals={Decimal("1.50"): 2}, of_ids={UUID(int=1): 3}
    )
    async with store.open("id") as conversation:
        conversation.state = written
    async with store.open("id") as conversation:
        assert conversation.state == written


class Flight(msgspec.Struct):
    when: datetime | None = None
    stops: list[datetime] = []


@dataclasses.dataclass
class FlightData:
    when: datetime | None = None
    stops: list[datetime] = dataclasses.field(default_factory=list[datetime])


class FlightModel(BaseModel):
    when: datetime | None = None
    stops: list[datetime] = []


@pytest.mark.parametrize("state_type", [Flight, FlightData, FlightModel])
def test_a_time_in_the_hour_that_comes_twice_is_stored(state_type: type[Any]) -> None:
    handle = TypedHandle(state_type)
    when = datetime(2026, 10, 25, 2, 30, tzinfo=Autumn(), fold=1)
    handle.state.when, handle.state.stops = when, [when]
    handle.commit()
    late = TypedHandle(state_type, handle.memory)
    assert late.state.when.isoformat() == when.isoformat()
    assert late.state.stops == [late.state.when]
