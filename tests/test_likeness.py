"""Objects that compare by identity are compared by their parts, and by those of these."""

import dataclasses
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from jv_session_mw import MemoryConversationStore, UnsupportedValue


class Color(Enum):
    RED = "red"


class Unequal(msgspec.Struct, eq=False):
    number: int = 0
    when: datetime | None = None
    color: Color | None = None


class Shelf(msgspec.Struct):
    one: Unequal | None = None
    many: list[Unequal] = []
    named: dict[str, Unequal] = {}


@dataclasses.dataclass(eq=False)
class UnequalData:
    number: int = 0
    when: datetime | None = None
    color: Color | None = None


@dataclasses.dataclass
class ShelfData:
    one: UnequalData | None = None
    many: list[UnequalData] = dataclasses.field(default_factory=list[UnequalData])
    named: dict[str, UnequalData] = dataclasses.field(default_factory=dict[str, UnequalData])


@pytest.mark.parametrize(("state_type", "part"), [(Shelf, Unequal), (ShelfData, UnequalData)])
async def test_objects_that_compare_by_identity_come_back_wherever_the_type_has_them(
    state_type: type[Any], part: type[Any]
) -> None:
    store = MemoryConversationStore(state_type=state_type)
    when = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    async with store.open("id") as conversation:
        conversation.state.one = part(1, when)
        conversation.state.many = [part(2), part(3, color=Color.RED)]
        conversation.state.named = {"four": part(4)}
    async with store.open("id") as conversation:
        state = conversation.state
        assert (state.one.number, state.one.when) == (1, when.astimezone(UTC))
        assert [(each.number, each.color) for each in state.many] == [(2, None), (3, Color.RED)]
        assert state.named["four"].number == 4


async def test_an_object_of_another_type_than_would_come_back_is_refused() -> None:
    class More(Unequal):
        more: int = 0

    store = MemoryConversationStore(state_type=Shelf)
    with pytest.raises(UnsupportedValue, match=r"state\.many.*as it was"):
        async with store.open("id") as conversation:
            conversation.state.many = [More(1, more=2)]
