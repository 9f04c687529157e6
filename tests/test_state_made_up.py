"""What a type makes up for want of a stored value: another one each time, unless it is kept."""

import dataclasses
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from pydantic import BaseModel, Field

from tests.handles import Handle, TypedHandle


def now() -> datetime:
    return datetime.now(UTC)


class StructVisit(msgspec.Struct):
    id: UUID = msgspec.field(default_factory=uuid4)
    began: datetime = msgspec.field(default_factory=now)
    pages: list[str] = []


@dataclasses.dataclass
class DataVisit:
    id: UUID = dataclasses.field(default_factory=uuid4)
    began: datetime = dataclasses.field(default_factory=now)
    pages: list[str] = dataclasses.field(default_factory=list[str])


class ModelVisit(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    began: datetime = Field(default_factory=now)
    pages: list[str] = Field(default_factory=list[str])


Visit = StructVisit | DataVisit | ModelVisit
visits = pytest.mark.parametrize("visit", [StructVisit, DataVisit, ModelVisit])
MADE_UP = {"id", "began"}


@visits
def test_what_is_made_up_is_not_stored_for_its_own_sake(visit: type[Visit]) -> None:
    handle: TypedHandle[Visit] = TypedHandle(visit)
    assert handle.state.id != visit().id
    assert handle.copy.collect() is None


@visits
def test_what_was_made_up_is_kept_from_the_first_commit_on(visit: type[Visit]) -> None:
    handle: TypedHandle[Visit] = TypedHandle(visit)
    state = handle.state
    state.pages.append("/")
    changes = handle.commit()
    assert changes is not None
    assert set(changes.fields) == {"pages", *MADE_UP}
    state.pages.append("/help")
    changes = handle.commit()
    assert changes is not None
    assert set(changes.fields) == {"pages"}
    late: TypedHandle[Visit] = TypedHandle(visit, handle.memory)
    assert late.state == state
    late.state.pages.append("/prices")
    changes = late.commit()
    assert changes is not None
    assert set(changes.fields) == {"pages"}


@visits
def test_a_message_alone_keeps_it_once_the_state_was_looked_at(visit: type[Visit]) -> None:
    handle: TypedHandle[Visit] = TypedHandle(visit)
    id = handle.state.id
    handle.messages.append({"role": "user", "content": "hello"})
    changes = handle.commit()
    assert changes is not None
    assert set(changes.fields) == MADE_UP
    late: TypedHandle[Visit] = TypedHandle(visit, handle.memory)
    assert late.state.id == id


@visits
def test_a_state_that_nobody_has_looked_at_makes_nothing_up(visit: type[Visit]) -> None:
    handle: TypedHandle[Visit] = TypedHandle(visit)
    handle.messages.append({"role": "user", "content": "hello"})
    changes = handle.commit()
    assert changes is not None
    assert changes.fields == {}


@visits
def test_a_field_that_the_type_was_given_later_is_kept_with_the_next_change(
    visit: type[Visit],
) -> None:
    earlier = Handle()
    earlier.state["pages"] = ["/"]
    earlier.commit()
    handle: TypedHandle[Visit] = TypedHandle(visit, earlier.memory)
    id = handle.state.id
    assert handle.copy.collect() is None
    handle.state.pages.append("/prices")
    handle.commit()
    late: TypedHandle[Visit] = TypedHandle(visit, handle.memory)
    assert late.state.id == id


@visits
def test_what_the_app_sets_takes_the_place_of_what_was_made_up(visit: type[Visit]) -> None:
    handle: TypedHandle[Visit] = TypedHandle(visit)
    own = handle.state.id = uuid4()
    handle.commit()
    late: TypedHandle[Visit] = TypedHandle(visit, handle.memory)
    assert late.state.id == own


@visits
def test_nothing_made_up_is_stored_where_all_else_is_refused(visit: type[Visit]) -> None:
    handle: TypedHandle[Visit] = TypedHandle(visit)
    handle.state.pages.append("\ud800")
    delta = handle.copy.collect()
    assert delta is not None
    assert delta.refused
    assert delta.changes.empty()
