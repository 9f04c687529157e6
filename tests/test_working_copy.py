"""The delta engine: what changed is sent, and nothing else is."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from jv_session_mw import UnreadableConversation
from jv_session_mw.changes import Outcome, Snapshot
from jv_session_mw.stretch import Stretch
from tests.handles import CODEC, KEY, Handle, say

START: dict[str, Any] = {"n": 1, "nested": {"list": [1, {"deep": "x"}]}, "text": "a", "none": None}


@pytest.fixture
def handle() -> Handle:
    """A conversation with some state and one message, loaded."""
    author = Handle()
    author.state.update(START)
    author.messages.append(say("hi"))
    author.commit()
    return Handle(author.memory)


def changed(handle: Handle) -> tuple[set[str], set[str]]:
    """Commit, and return the names of the fields set and of those removed."""
    changes = handle.commit()
    return (set(changes.fields), set(changes.removed)) if changes else (set(), set())


def test_nothing_looked_at_is_nothing_to_send(handle: Handle) -> None:
    assert not handle.copy.was_looked_at
    assert handle.copy.collect() is None


def test_a_read_is_nothing_to_send(handle: Handle) -> None:
    assert handle.state["nested"]["list"][1]["deep"] == "x"
    assert handle.state == START
    assert handle.copy.was_looked_at
    assert handle.copy.collect() is None


EDITS: list[tuple[Callable[[dict[str, Any]], object], set[str]]] = [
    (lambda state: state.update(n=2), {"n"}),
    (lambda state: state["nested"]["list"].append(2), {"nested"}),
    (lambda state: state["nested"]["list"][1].update(deep="y"), {"nested"}),
    (lambda state: state["nested"].clear(), {"nested"}),
    (lambda state: state.update(new={}), {"new"}),
    (lambda state: state.update(text=None), {"text"}),
    (lambda state: state.update(n=True), {"n"}),
    (lambda state: state.update(n=1.0), {"n"}),
    (lambda state: state.update(nested={"list": (1, {"deep": "x"})}), {"nested"}),
    (lambda state: state.update({"": 1, "a.b": 2, "@v": 3}), {"", "a.b", "@v"}),
]


@pytest.mark.parametrize(("edit", "names"), EDITS)
def test_only_the_fields_that_changed_are_sent(
    handle: Handle, edit: Callable[[dict[str, Any]], object], names: set[str]
) -> None:
    edit(handle.state)
    expected = dict(handle.state)
    assert changed(handle) == (names, set())
    assert handle.fields() == expected
    assert handle.copy.collect() is None


@pytest.mark.parametrize("name", START)
def test_what_is_changed_back_is_not_sent(handle: Handle, name: str) -> None:
    handle.state[name] = "another"
    handle.state[name] = copy.deepcopy(START[name])
    assert handle.copy.collect() is None


def test_another_order_of_keys_is_a_change_of_the_value(handle: Handle) -> None:
    handle.state["nested"] = {"b": 1, "a": 2}
    handle.commit()
    handle.state["nested"] = {"a": 2, "b": 1}
    handle.commit()
    assert list(Handle(handle.memory).state["nested"]) == ["a", "b"]


def test_a_removed_field_is_removed(handle: Handle) -> None:
    assert handle.state
    assert handle.copy.is_as_stored()
    del handle.state["text"]
    assert not handle.copy.is_as_stored()
    assert changed(handle) == (set(), {"text"})
    assert handle.copy.is_as_stored()
    assert "text" not in handle.fields()
    handle.state["text"] = "back"
    assert changed(handle) == ({"text"}, set())


def test_a_cleared_state_is_empty(handle: Handle) -> None:
    handle.state.clear()
    assert changed(handle) == (set(), set(START))
    assert Handle(handle.memory).state == {}


def test_a_new_dict_in_place_of_the_state_is_compared_with_the_old(handle: Handle) -> None:
    handle.state = {"n": 1, "text": "b"}
    assert changed(handle) == ({"text"}, {"nested", "none"})
    assert handle.fields() == {"n": 1, "text": "b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-01-02T00:00:00Z", datetime(2020, 1, 2, tzinfo=UTC)),
        ("1.50", Decimal("1.50")),
        ("YQ==", b"a"),
    ],
)
def test_a_value_in_place_of_its_text_is_a_change(handle: Handle, text: str, value: object) -> None:
    handle.state["text"] = text
    handle.commit()
    handle.state["text"] = value
    handle.commit()
    assert Handle(handle.memory).state["text"] == value


class Role(StrEnum):
    USER = "user"


@pytest.mark.parametrize(("one", "other"), [("user", Role.USER), (Role.USER, "user")])
def test_a_text_and_one_of_a_kind_of_its_own_are_stored_as_one(
    handle: Handle, one: str, other: str
) -> None:
    handle.state["text"], handle.messages[0]["role"] = one, one
    handle.messages[0]["content"] = "new"
    handle.commit()
    handle.state["text"], handle.messages[0]["role"] = other, other
    assert handle.commit() is None
    assert Handle(handle.memory).state["text"] == "user"


def test_what_was_not_touched_is_not_decoded(handle: Handle) -> None:
    snapshot = Snapshot(
        version=1, fields={"a": b"j1;{broken"}, messages=Stretch([1], [b'j1;{"a":1}'])
    )
    handle.copy.rebase(snapshot)
    assert handle.messages == [{"a": 1}]
    with pytest.raises(UnreadableConversation) as unreadable:
        _ = handle.state
    assert unreadable.value.where == "state.a"


@pytest.mark.parametrize(
    ("snapshot", "where"),
    [
        (Snapshot(version=1, fields={"a": b"j2;1"}), "state.a"),
        (Snapshot(version=1, messages=Stretch([7], [b"garbage"])), "message 7"),
    ],
)
def test_what_another_version_wrote_is_unreadable_at_the_load(
    handle: Handle, snapshot: Snapshot, where: str
) -> None:
    with pytest.raises(UnreadableConversation) as unreadable:
        handle.copy.rebase(snapshot)
    assert unreadable.value.where == where


def test_a_delta_of_unknown_outcome_comes_again_as_it_was(handle: Handle) -> None:
    handle.state["n"] = 2
    first = handle.copy.collect()
    assert first is not None
    handle.copy.sending(first)
    handle.state["text"] = "b"
    assert handle.copy.collect() is first
    handle.memory.commit(KEY, first.changes)
    handle.copy.absorb(first, handle.memory.commit(KEY, first.changes))
    assert changed(handle) == ({"text"}, set())
    assert handle.copy.snapshot.version == 3


def test_what_changes_while_a_commit_is_under_way_is_in_the_next(handle: Handle) -> None:
    handle.state["n"] = 2
    handle.messages.append(say("one"))
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.sending(delta)
    handle.state["n"] = 3
    handle.messages.append(say("two"))
    handle.messages[1]["content"] = "ONE"
    handle.copy.absorb(delta, handle.memory.commit(KEY, delta.changes))
    handle.commit()
    assert handle.fields()["n"] == 3
    assert handle.stored() == [say("hi"), say("ONE"), say("two")]


def test_a_discard_forgets_the_delta_under_way(handle: Handle) -> None:
    handle.state["n"] = 2
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.sending(delta)
    handle.copy.discard()
    assert handle.copy.collect() is None
    assert handle.state["n"] == 1


def test_a_discard_goes_back_to_the_last_commit(handle: Handle) -> None:
    handle.state["n"] = 2
    handle.messages.append(say("kept"))
    handle.commit()
    handle.state["n"] = 3
    handle.messages.append(say("lost"))
    handle.copy.discard()
    assert handle.copy.collect() is None
    assert (handle.state["n"], handle.messages) == (2, [say("hi"), say("kept")])


def test_a_commit_that_was_refused_is_collected_anew(handle: Handle) -> None:
    handle.state["n"] = 2
    delta = handle.copy.collect()
    assert delta is not None
    handle.copy.sending(delta)
    handle.copy.absorb(delta, Outcome("conflict", 5, conflicts=["n"]))
    again = handle.copy.collect()
    assert again is not None
    assert again.changes.commit_id != delta.changes.commit_id
    assert set(again.changes.fields) == {"n"}


def test_two_handles_that_commit_in_turn_lose_nothing(handle: Handle) -> None:
    one, two = handle, Handle(handle.memory)
    for at in range(5):
        one.state[f"one {at}"] = at
        one.messages.append(say(f"one {at}"))
        two.state["n"] = at
        two.messages.append(say(f"two {at}"))
        one.commit()
        two.commit()
    stored = handle.stored()
    assert [m["content"] for m in stored if m["content"].startswith("one")] == [
        f"one {at}" for at in range(5)
    ]
    assert [m["content"] for m in stored if m["content"].startswith("two")] == [
        f"two {at}" for at in range(5)
    ]
    assert handle.fields() == {**START, "n": 4, **{f"one {at}": at for at in range(5)}}


def test_every_commit_has_an_id_of_its_own(handle: Handle) -> None:
    ids: set[str] = set()
    for at in range(20):
        handle.state["n"] = f"v{at}"
        changes = handle.commit()
        assert changes is not None
        ids.add(changes.commit_id)
    assert len(ids) == 20


def test_a_change_rests_on_the_bytes_that_were_loaded(handle: Handle) -> None:
    handle.state["n"] = 2
    delta = handle.copy.collect()
    assert delta is not None
    assert delta.changes.fields["n"].base == CODEC.encode(1, "x")
    assert delta.changes.base_version == 1
