"""What crosses to a backend: equal by all of its parts, and copied with all of them but one."""

from collections.abc import Callable
from typing import cast

import pytest

from jv_session_mw.changes import Changes, Outcome, Plain, Put, Rules, Snapshot
from jv_session_mw.stretch import Stretch

SNAPSHOT = Snapshot(
    3, 5, 7, 9, {"a": b"1"}, Stretch([11], [b"x"]), False, "timeout", "birth", "commit", 11
)
CHANGES = Changes(
    "commit", 3, {"a": Put(b"2", b"1")}, {"b": b"1"}, [b"x"], {4: Put(b"y")}, [5], 2, True,
    "birth", 9,
)  # fmt: skip
OUTCOME = Outcome("committed", 3, 5, 7, 9, 11, ["a"], "timeout", "birth")
ALL: list[Plain] = [SNAPSHOT, CHANGES, OUTCOME, Put(b"2", b"1"), Rules(3, 5, 7, True)]


def changed(part: object) -> object:
    """Return another value of the same type."""
    match part:
        case bool():
            return not part
        case int():
            return part + 1
        case str():
            return f"{part}!"
        case bytes():
            return part + b"!"
        case Stretch():
            return Stretch([12], [b"x"])
        case _:
            return type(part)()


@pytest.mark.parametrize("plain", ALL, ids=lambda plain: type(plain).__name__)
def test_it_equals_only_what_has_the_same_parts(plain: Plain) -> None:
    kind = cast("Callable[..., Plain]", type(plain))
    parts = plain.parts()
    assert kind(*parts) == plain
    for at, part in enumerate(parts):
        other = kind(*parts[:at], changed(part), *parts[at + 1 :])
        assert other != plain
        assert [here == there for here, there in zip(other.parts(), parts, strict=True)] == [
            place != at for place in range(len(parts))
        ]
    assert all((other == plain) == (other is plain) for other in ALL)
    assert plain != parts
    assert repr(plain) == f"{type(plain).__name__}{parts!r}"


def test_memory_answers_the_same_but_for_the_reason() -> None:
    assert SNAPSHOT.from_memory("kept").parts() == (
        *SNAPSHOT.parts()[:7],
        "kept",
        *SNAPSHOT.parts()[8:],
    )
    assert OUTCOME.from_memory("kept").parts() == (*OUTCOME.parts()[:7], "kept", "birth")


def test_a_caller_goes_on_with_the_birth_that_it_knows() -> None:
    assert OUTCOME.known_by("other").parts() == (*OUTCOME.parts()[:-1], "other")
    assert CHANGES.resting_on("other").parts() == (*CHANGES.parts()[:-2], "other", 9)


def test_changes_can_be_taken_out_of_their_turn() -> None:
    assert CHANGES.without_fence().parts() == (*CHANGES.parts()[:-1], 0)


def test_nothing_is_shared_by_those_that_were_made_of_nothing() -> None:
    one, other = Changes("", 0), Changes("", 0)
    one.fields["a"] = Put(b"1")
    one.removed["b"] = b"1"
    one.appended.append(b"x")
    one.replaced[1] = Put(b"1")
    one.dropped.append(1)
    assert other == Changes("", 0)
    Snapshot().fields["a"] = b"1"
    Outcome("gone").conflicts.append("a")
    assert not Snapshot().fields
    assert not Outcome("gone").conflicts
