"""The app's own data as a typed object: its fields are stored one by one."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict, cast
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field

from jv_session_mw import ConfigurationError, UnreadableConversation
from jv_session_mw.state.kind import state_kind
from tests.handles import KEY, Handle, TypedHandle

WHEN = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("8618f78e-27b1-42d4-be23-0817cc917ecc")


class StructStop(msgspec.Struct):
    city: str
    nights: int = 1


class StructTrip(msgspec.Struct):
    title: str = "untitled"
    stops: list[StructStop] = []
    when: datetime | None = None
    price: Decimal = Decimal("0")
    id: UUID | None = None
    tags: set[str] = set()
    places: dict[int, str] = {}
    pair: tuple[int, str] = (0, "")
    data: bytes = b""


@dataclasses.dataclass
class DataStop:
    city: str
    nights: int = 1


@dataclasses.dataclass
class DataTrip:
    title: str = "untitled"
    stops: list[DataStop] = dataclasses.field(default_factory=list[DataStop])
    when: datetime | None = None
    price: Decimal = Decimal("0")
    id: UUID | None = None
    tags: set[str] = dataclasses.field(default_factory=set[str])
    places: dict[int, str] = dataclasses.field(default_factory=dict[int, str])
    pair: tuple[int, str] = (0, "")
    data: bytes = b""


class ModelStop(BaseModel):
    city: str
    nights: int = 1


class ModelTrip(BaseModel):
    title: str = "untitled"
    stops: list[ModelStop] = []
    when: datetime | None = None
    price: Decimal = Decimal("0")
    id: UUID | None = None
    tags: set[str] = set()
    places: dict[int, str] = {}
    pair: tuple[int, str] = (0, "")
    data: bytes = b""


Trip = StructTrip | DataTrip | ModelTrip
KINDS: list[tuple[type[Trip], type[StructStop | DataStop | ModelStop]]] = [
    (StructTrip, StructStop),
    (DataTrip, DataStop),
    (ModelTrip, ModelStop),
]
trips = pytest.mark.parametrize("trip", [StructTrip, DataTrip, ModelTrip])


def open_as(trip: type[Trip], earlier: TypedHandle[Trip] | None = None) -> TypedHandle[Trip]:
    return TypedHandle(trip, earlier.memory if earlier else None)


@trips
def test_a_new_conversation_begins_with_the_defaults_and_stores_none(trip: type[Trip]) -> None:
    handle = open_as(trip)
    assert handle.state == trip()
    assert handle.copy.collect() is None


@trips
def test_only_the_field_that_changed_is_stored(trip: type[Trip]) -> None:
    handle = open_as(trip)
    handle.state.title = "Lisbon"
    changes = handle.commit()
    assert changes is not None
    assert set(changes.fields) == {"title"}
    assert handle.fields() == {"title": "Lisbon"}


@pytest.mark.parametrize(("trip", "stop"), KINDS)
def test_what_is_nested_is_seen(
    trip: type[Trip], stop: type[StructStop | DataStop | ModelStop]
) -> None:
    handle = open_as(trip)
    cast("list[object]", handle.state.stops).append(stop(city="Porto"))
    handle.commit()
    late = open_as(trip, handle)
    assert late.state.stops == [stop(city="Porto")]
    late.state.stops[0].nights = 3
    changes = late.commit()
    assert changes is not None
    assert set(changes.fields) == {"stops"}
    assert open_as(trip, late).state.stops[0].nights == 3


@trips
def test_every_type_of_field_comes_back(trip: type[Trip]) -> None:
    handle = open_as(trip)
    state = handle.state
    state.when, state.price, state.id = WHEN, Decimal("1.50"), ID
    state.tags.add("sea")
    state.places[7] = "seven"
    state.pair, state.data = (1, "one"), b"text"
    handle.commit()
    late = open_as(trip, handle)
    assert late.state == state
    assert type(late.state.places) is dict
    assert (type(late.state.when), type(late.state.price)) == (datetime, Decimal)
    assert late.copy.collect() is None


@trips
def test_a_read_of_an_older_version_of_the_type_writes_nothing(trip: type[Trip]) -> None:
    earlier = Handle()
    earlier.state.update(title="old", gone="field of an older version")
    earlier.commit()
    handle = TypedHandle(trip, earlier.memory)
    assert (handle.state.title, handle.state.stops) == ("old", [])
    assert handle.copy.collect() is None


@trips
def test_a_field_of_another_version_of_the_type_stays(trip: type[Trip]) -> None:
    earlier = Handle()
    earlier.state.update(title="old", other={"version": 2})
    earlier.commit()
    handle = TypedHandle(trip, earlier.memory)
    handle.state.title = "new"
    changes = handle.commit()
    assert changes is not None
    assert (set(changes.fields), changes.removed) == ({"title"}, {})
    assert handle.fields() == {"title": "new", "other": {"version": 2}}


@trips
def test_a_new_object_in_place_of_the_state_is_compared_with_the_old(trip: type[Trip]) -> None:
    handle = open_as(trip)
    handle.state.title = "one"
    handle.commit()
    handle.state = trip(title="one", data=b"x")
    changes = handle.commit()
    assert changes is not None
    assert set(changes.fields) == {"data"}


@trips
def test_back_to_the_default_is_a_change(trip: type[Trip]) -> None:
    handle = open_as(trip)
    handle.state.title = "one"
    handle.commit()
    late = open_as(trip, handle)
    late.state.title = "untitled"
    late.commit()
    assert open_as(trip, late).state.title == "untitled"


@trips
def test_what_does_not_fit_the_type_is_unreadable_and_stays(trip: type[Trip]) -> None:
    earlier = Handle()
    earlier.state["title"] = ["no", "text"]
    earlier.commit()
    before = earlier.memory.load(KEY, 0).fields
    handle = TypedHandle(trip, earlier.memory)
    with pytest.raises(UnreadableConversation) as unreadable:
        _ = handle.state
    assert trip.__qualname__ in str(unreadable.value)
    assert handle.copy.collect() is None
    assert earlier.memory.load(KEY, 0).fields == before


class StrictStruct(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    first_name: str = ""
    tags: list[str] = []


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    first_name: str = Field("", alias="firstName")
    tags: list[str] = []


class SparseStruct(msgspec.Struct, omit_defaults=True):
    first_name: str = ""
    tags: list[str] = []


@pytest.mark.parametrize("kind", [StrictStruct, StrictModel])
def test_a_strict_type_leaves_unknown_fields_alone_too(
    kind: type[StrictStruct | StrictModel],
) -> None:
    handle = TypedHandle(kind)
    handle.state.first_name = "Ada"
    handle.commit()
    other = Handle(handle.memory)
    other.state["added"] = 1
    other.commit()
    late = TypedHandle(kind, handle.memory)
    assert late.state.first_name == "Ada"
    late.state.tags.append("x")
    late.commit()
    assert late.fields()["added"] == 1
    assert TypedHandle(kind, handle.memory).state.tags == ["x"]


def test_a_type_that_omits_defaults_goes_back_to_them() -> None:
    handle = TypedHandle(SparseStruct)
    handle.state.first_name = "Ada"
    handle.commit()
    handle.state.first_name = ""
    handle.commit()
    late = TypedHandle(SparseStruct, handle.memory)
    assert late.state.first_name == ""
    assert late.copy.collect() is None


class NeedsArgument(msgspec.Struct):
    name: str


@dataclasses.dataclass
class DataNeedsArgument:
    name: str


class ModelNeedsArgument(BaseModel):
    name: str


class Plain:
    pass


class Typed(TypedDict):
    name: str


class Named(NamedTuple):
    name: str = ""


UNSUPPORTED: list[Callable[[], object]] = [
    lambda: NeedsArgument,
    lambda: DataNeedsArgument,
    lambda: ModelNeedsArgument,
    lambda: Plain,
    lambda: Typed,
    lambda: Named,
    lambda: list,
    lambda: int,
    lambda: dict[str, Any],
    lambda: Any,
    StructTrip,
]


@pytest.mark.parametrize("make", UNSUPPORTED)
def test_a_type_that_cannot_be_a_state_is_refused_at_start(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match="state_type"):
        state_kind(cast("type[object]", make()))
