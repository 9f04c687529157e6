"""The checker sees each way in which a run can be wrong, and nothing where all is right."""

import pytest

from tests.faults.history import History, Look, merged, violations

RIGHT = {"c1": ["c1/a/0", "c1/b/0", "c1/a/2"], "c2": ["c2/a/1"]}


def told() -> History:
    return History(
        acknowledged=["c1/a/0", "c1/b/0", "c2/a/1", "c1/a/2"],
        tried=["c1/b/3", "c2/b/4"],
        looks=[
            Look("a", "c1", 0, []),
            Look("b", "c1", 1, ["c1/a/0"]),
            Look("a", "c1", 2, ["c1/a/0", "c1/b/0"]),
        ],
    )


def test_a_run_that_kept_every_promise_has_no_violations() -> None:
    assert violations(told(), RIGHT) == {}


def test_what_is_unknown_may_be_there_or_not() -> None:
    assert violations(told(), {**RIGHT, "c2": ["c2/a/1", "c2/b/4"]}) == {}


@pytest.mark.parametrize(
    ("kind", "log"),
    [
        ("lost", ["c1/a/0", "c1/a/2"]),
        ("duplicated", ["c1/a/0", "c1/b/0", "c1/a/2", "c1/a/2"]),
        ("duplicated", ["c1/a/0", "c1/b/0", "c1/a/2", "c1/b/3", "c1/b/3"]),
        ("invented", ["c1/a/0", "c1/b/0", "c1/a/2", "c1/c/9"]),
        ("disordered", ["c1/a/2", "c1/b/0", "c1/a/0"]),
    ],
)
def test_what_is_wrong_is_named(kind: str, log: list[str]) -> None:
    assert list(violations(told(), {**RIGHT, "c1": log})) == [kind]


def test_a_foreign_message_is_named_where_it_is_stored() -> None:
    found = violations(told(), {"c1": [*RIGHT["c1"], "c2/b/4"], "c2": ["c2/a/1"]})
    assert found == {"foreign": ["c2/b/4 in c1/"]}


def test_a_foreign_message_is_named_where_it_was_only_seen() -> None:
    history = merged([told(), History(looks=[Look("b", "c1", 2, ["c2/a/1"])])])
    assert violations(history, RIGHT) == {"foreign": ["c2/a/1 in c1/"]}


def test_a_version_that_goes_back_is_named() -> None:
    history = merged([told(), History(looks=[Look("a", "c1", 1, [])])])
    assert violations(history, RIGHT) == {"backward": ["c1 for a: 1 after 2"]}
