"""A typed value that its own type would not take back is refused, not stored for nobody to read."""

import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr, computed_field

from jv_session_mw import ConfigurationError, MemoryConversationStore, UnsupportedValue
from jv_session_mw.state.kind import state_kind
from tests.handles import KEY, TypedHandle


class Order(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    note: str = ""


@dataclasses.dataclass
class OrderData:
    count: int = 0
    note: str = ""


class OrderModel(BaseModel):
    count: int = 0
    note: str = ""


class Color(Enum):
    RED = "red"


class Loose(BaseModel):
    anything: Any = None
    secret: SecretStr | None = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    when: datetime | None = None
    pair: tuple[int, str] = (0, "")
    tags: set[str] = set()


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    price: int = 1

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.price


class Basket(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)
    lines: list[Line] = Field(default_factory=list[Line], alias="Lines")
    raw: Json[list[int]] = Field(default="[1]", validate_default=True)


@pytest.mark.parametrize("state_type", [Order, OrderData, OrderModel])
async def test_a_value_of_the_wrong_type_is_refused_by_name_and_spares_the_rest(
    state_type: type[Any],
) -> None:
    store = MemoryConversationStore(state_type=state_type)
    await store.set("id", {"count": 1})

    async def turn() -> None:
        async with store.open("id") as conversation:
            conversation.state.note = "kept where the handler put it"
            conversation.state.count = "many"

    with pytest.raises(UnsupportedValue, match=r"state\.count"):
        await turn()
    async with store.open("id") as conversation:
        assert conversation.state.count == 1


class Pad(msgspec.Struct):
    good: int = 0
    quiet: int = 7
    notes: dict[str, Any] = {}


class TaggedPad(Pad, tag="pad"):
    pass


class SparsePad(Pad, omit_defaults=True):
    pass


@dataclasses.dataclass
class PadData:
    good: int = 0
    quiet: int = 7
    notes: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])


class PadModel(BaseModel):
    good: int = 0
    quiet: int = 7
    notes: dict[str, Any] = {}


@pytest.mark.parametrize("state_type", [Pad, TaggedPad, SparsePad, PadData, PadModel])
def test_a_value_that_cannot_be_written_is_refused_by_name_and_all_the_rest_is_stored(
    state_type: type[Any],
) -> None:
    author = TypedHandle(state_type)
    author.state.notes = {"x": 1}
    author.commit()
    handle = TypedHandle(state_type, author.memory)
    handle.state.good, handle.state.notes["x"] = 1, object()
    delta = handle.copy.collect()
    assert delta is not None
    assert [error.field for error in delta.refused if isinstance(error, UnsupportedValue)] == [
        "state.notes"
    ]
    handle.copy.sending(delta)
    handle.copy.absorb(delta, handle.memory.commit(KEY, delta.changes))
    assert handle.fields() == {"good": 1, "notes": {"x": 1}}
    handle.state.notes["x"] = 1
    assert handle.commit() is None
    handle.state.notes["x"] = 2
    handle.commit()
    assert handle.fields() == {"good": 1, "notes": {"x": 2}}


class LongOrder(Order):
    more: int = 0


class LongOrderModel(OrderModel):
    more: int = 0


@pytest.mark.parametrize("state", [LongOrder(more=1), LongOrderModel(more=1)])
def test_a_state_of_a_subclass_is_refused_since_it_would_not_come_back(state: object) -> None:
    handle: TypedHandle[object] = TypedHandle(type(state).__bases__[0])
    with pytest.raises(UnsupportedValue, match="state is a"):
        handle.state = state
    assert handle.commit() is None


async def test_a_bound_of_the_type_holds_when_it_is_saved() -> None:
    store = MemoryConversationStore(state_type=Order)
    with pytest.raises(UnsupportedValue, match=r"state\.count"):
        async with store.open("id") as conversation:
            conversation.state.count = -1


@pytest.mark.parametrize(
    ("name", "value"), [("anything", datetime.now(UTC)), ("secret", SecretStr("hunter2"))]
)
async def test_a_value_that_would_come_back_as_another_is_refused(name: str, value: object) -> None:
    store = MemoryConversationStore(state_type=Loose)
    with pytest.raises(UnsupportedValue, match=rf"state\.{name}"):
        async with store.open("id") as conversation:
            setattr(conversation.state, name, value)


@pytest.mark.parametrize("state_type", [Order, OrderData, OrderModel, Loose])
async def test_an_enum_where_its_type_would_give_back_a_text_is_refused(
    state_type: type[Any],
) -> None:
    store = MemoryConversationStore(state_type=state_type)
    name = "anything" if state_type is Loose else "note"
    with pytest.raises(UnsupportedValue, match=rf"state\.{name}.*as it was"):
        async with store.open("id") as conversation:
            setattr(conversation.state, name, Color.RED)


async def test_a_strict_model_takes_back_what_it_gave() -> None:
    store = MemoryConversationStore(state_type=Strict)
    now, many = datetime.now(UTC), {str(number) for number in range(500)}
    async with store.open("id") as conversation:
        conversation.state = Strict(when=now, pair=(1, "a"), tags=many)
    async with store.open("id") as conversation:
        assert conversation.state == Strict(when=now, pair=(1, "a"), tags=many)


async def test_aliases_and_computed_fields_lose_nothing() -> None:
    store = MemoryConversationStore(state_type=Basket)
    async with store.open("id") as conversation:
        conversation.state.lines.append(Line(price=3))
        conversation.state.raw = [1, 2]
    async with store.open("id") as conversation:
        assert conversation.state.lines == [Line(price=3)]
        assert conversation.state.raw == [1, 2]


class ArrayLike(msgspec.Struct, array_like=True):
    count: int = 0


@dataclasses.dataclass
class WithInitVar:
    count: int = 0
    seed: dataclasses.InitVar[int] = 0


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    count: int = 0


@pytest.mark.parametrize("state_type", [ArrayLike, WithInitVar, Open])
def test_a_type_that_cannot_be_read_again_is_refused_at_start(state_type: type[object]) -> None:
    with pytest.raises(ConfigurationError, match=state_type.__qualname__):
        state_kind(state_type)


class OfOldPydantic(BaseModel):
    """As before Pydantic 2.11, which reads by the names of fields only as a whole model says."""

    count: int = 0

    @classmethod
    def model_validate_json(cls, json_data: Any, *, strict: bool | None = None) -> Any:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        return super().model_validate_json(json_data, strict=strict)


def test_a_model_of_an_old_pydantic_is_refused_with_the_version_that_it_takes() -> None:
    with pytest.raises(ConfigurationError, match=r"OfOldPydantic .* install 2\.11 or newer"):
        state_kind(OfOldPydantic)


async def test_a_copy_of_the_messages_is_a_plain_list_without_the_store() -> None:
    store = MemoryConversationStore()
    async with store.open("id") as conversation:
        conversation.messages.append({"role": "user", "parts": ["hello"]})
        for copied in (
            copy.copy(conversation.messages),
            copy.deepcopy({"messages": conversation.messages})["messages"],
            pickle.loads(pickle.dumps(conversation.messages)),
        ):
            assert type(copied) is list
            assert copied == conversation.messages


class Truth:
    """What a comparison of NumPy gives in place of a bool."""

    def __bool__(self) -> bool:
        return True


class Score(float):
    """A number that compares as one of NumPy does."""

    __hash__ = float.__hash__

    def __eq__(self, other: object) -> Truth:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        return Truth()


class Scored(BaseModel):
    score: float = 0.0


async def test_a_number_whose_comparison_is_no_bool_is_stored_as_the_type_has_it() -> None:
    store = MemoryConversationStore(state_type=Scored)
    async with store.open("id") as conversation:
        conversation.state.score = Score(0.5)
    assert await store.get("id") == {"score": 0.5}
