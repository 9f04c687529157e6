"""Copies: noted as they come, worked out when they are asked for."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jv_session_mw.backends.copies import Copies
from jv_session_mw.backends.entry import weight
from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import DELETED, MISSING, Changes, Outcome, Put, Rules, Snapshot
from jv_session_mw.stretch import Stretch
from tests.backends.harness import KEY, TTL_MS, Clock, appends, commit_id, values

WINDOW = 10
BIRTH = "birth"


def loaded(version: int = 3, *messages: bytes) -> Snapshot:
    numbers = range(1, len(messages) + 1)
    return Snapshot(
        version=version,
        created_ms=5,
        ttl_ms=TTL_MS,
        total=len(messages),
        fields={"a": b"1"},
        messages=Stretch(numbers, messages),
        birth=BIRTH,
    )


def stored(version: int, first_seq: int, total: int) -> Outcome:
    return Outcome("committed", version, 5, TTL_MS, total, first_seq, birth=BIRTH)


def ours(base: int, message: bytes) -> Changes:
    changes = appends(base, message)
    changes.birth = BIRTH
    return changes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def copies(clock: Clock) -> Copies:
    return Copies(Rules(TTL_MS), window=WINDOW, max_entries=3, max_bytes=10_000, clock=clock)


def test_what_was_loaded_and_committed_is_there_when_it_is_asked_for(copies: Copies) -> None:
    copies.loaded(KEY, loaded(3, b"x", b"y"))
    changes = Changes(commit_id(), 3, {"b": Put(b"2")}, {"a": b"1"}, [b"z"], dropped=[1])
    copies.committed(KEY, changes, stored(4, 3, 2))
    snapshot = copies.memory(KEY).load(KEY, WINDOW)
    assert (snapshot.version, snapshot.fields, snapshot.birth) == (4, {"b": b"2"}, BIRTH)
    assert list(snapshot.messages) == [(2, b"y"), (3, b"z")]
    assert len(copies) == 1


def test_after_an_edit_the_next_load_is_spared_the_messages_as_after_an_append(
    copies: Copies,
) -> None:
    copies.loaded(KEY, loaded(3, b"x", b"y"))
    edit = ours(3, b"z")
    edit.replaced, edit.dropped = {1: Put(b"edited", b"x")}, [2]
    copies.committed(KEY, edit, stored(4, 3, 2))
    known = copies.last(KEY, MISSING)
    assert known.version == 4
    assert list(known.messages) == [(1, b"edited"), (3, b"z")]


def test_a_commit_of_something_new_is_there_too(copies: Copies) -> None:
    copies.committed(KEY, appends(0, b"hi"), stored(1, 1, 1))
    assert values(copies.memory(KEY).load(KEY, WINDOW)) == [b"hi"]


def test_a_commit_that_a_load_has_found_is_there_once_also_when_it_was_asked_for(
    copies: Copies,
) -> None:
    copies.loaded(KEY, loaded(3, b"x", b"y"))
    copies.memory(KEY)
    copies.committed(KEY, appends(2, b"y"), stored(3, 2, 2))
    assert list(copies.memory(KEY).load(KEY, WINDOW).messages) == [(1, b"x"), (2, b"y")]


def test_a_load_that_a_commit_has_overtaken_changes_nothing(copies: Copies) -> None:
    for asked_between in (False, True):
        copies.loaded(KEY, loaded(3, b"x"))
        copies.committed(KEY, appends(3, b"y"), stored(4, 2, 2))
        if asked_between:
            copies.memory(KEY)
        copies.loaded(KEY, loaded(3, b"x"))
        assert values(copies.memory(KEY).load(KEY, WINDOW)) == [b"x", b"y"]
        copies.forget(KEY)


def test_a_load_after_a_failover_wins_over_what_that_has_lost(copies: Copies) -> None:
    copies.loaded(KEY, loaded(3, b"x"))
    copies.committed(KEY, ours(3, b"lost"), stored(4, 2, 2))
    copies.committed(KEY, ours(4, b"lost too"), stored(5, 3, 3))
    before = copies.last(KEY, MISSING)
    copies.loaded(KEY, loaded(3, b"x"), before)
    copies.loaded(KEY, loaded(3, b"x"), before)  # of two that were sent at once
    copies.committed(KEY, ours(3, b"y"), stored(4, 2, 2))
    assert values(copies.memory(KEY).load(KEY, WINDOW)) == [b"x", b"y"]


def test_a_load_after_an_outage_wins_over_what_was_left_of_it(copies: Copies) -> None:
    copies.loaded(KEY, loaded(3, b"x"))
    copies.memory(KEY)
    copies.loaded(KEY, loaded(9, b"new"))
    assert values(copies.memory(KEY).load(KEY, WINDOW)) == [b"new"]


@pytest.mark.parametrize("absent", [MISSING, DELETED])
def test_what_a_load_did_not_find_is_gone_here_too(copies: Copies, absent: Snapshot) -> None:
    copies.loaded(KEY, loaded(3, b"x"))
    copies.loaded(KEY, absent)
    assert copies.memory(KEY).load(KEY, WINDOW) == absent


@pytest.mark.parametrize("event", ["load", "commit"])
def test_the_ttl_counts_from_when_it_was_seen(copies: Copies, clock: Clock, event: str) -> None:
    copies.loaded(KEY, loaded(3, b"x"))
    if event == "commit":
        clock.now += TTL_MS / 2_000
        copies.committed(KEY, appends(3, b"y"), stored(4, 2, 2))
    clock.now += TTL_MS / 1_000 - 1
    assert copies.memory(KEY).load(KEY, WINDOW).version
    copies.loaded(KEY, loaded(9, b"x"))
    clock.now += TTL_MS / 1_000 + 1
    assert copies.memory(KEY).load(KEY, WINDOW) == MISSING


def test_what_is_seen_again_weighs_what_it_is_by_then(copies: Copies) -> None:
    def expect_weight() -> None:
        assert copies.size == weight(copies.last(KEY, MISSING))

    copies.loaded(KEY, loaded(3, b"x"))
    for at in range(30):
        changes = appends(3 + at, b"y" * at)
        changes.birth = BIRTH
        copies.committed(KEY, changes, stored(4 + at, 2 + at, 2 + at))
        expect_weight()
    copies.loaded(KEY, loaded(40, b"x", b"y" * 500))
    expect_weight()
    copies.loaded(KEY, loaded(40, b"x", b"y" * 500))
    expect_weight()


def test_a_load_of_another_window_is_weighed(copies: Copies) -> None:
    copies.loaded(KEY, loaded(3, b"x"))
    whole = loaded(3, b"x", b"y" * 500)
    copies.loaded(KEY, whole)
    assert copies.size == weight(whole)


def test_many_commits_after_one_load_are_not_hoarded(copies: Copies) -> None:
    copies.loaded(KEY, loaded(3, b"x"))
    for at in range(800):
        copies.committed(KEY, appends(3 + at, b"y" * 90), stored(4 + at, 2 + at, 2 + at))
    assert copies.size < 10_000
    assert len(copies.memory(KEY).load(KEY, 0).messages) <= 2 * WINDOW


keys = st.sampled_from(["a", "b", "c", "d", "e"])
sizes = st.sampled_from([0, 100, 2_000, 6_000])


class Bounds(RuleBasedStateMachine):
    """Whatever is noted or asked, the bounds hold, and lazily is as good as at once."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.copies = Copies(
            Rules(TTL_MS), window=WINDOW, max_entries=3, max_bytes=10_000, clock=self.clock
        )
        self.large = Copies(
            Rules(TTL_MS), window=WINDOW, max_entries=99, max_bytes=10**9, clock=self.clock
        )
        self.at_once = Memory(Rules(TTL_MS), max_entries=99, max_bytes=10**9, clock=self.clock)
        self.versions: dict[str, int] = {}

    @rule(key=keys, size=sizes)
    def load(self, key: str, size: int) -> None:
        version = self.versions.setdefault(key, 1)
        snapshot = loaded(version, b"x" * size)
        for copies in (self.copies, self.large):
            copies.loaded(key, snapshot)
        self.at_once.keep(key, snapshot)

    @rule(key=keys, size=sizes)
    def commit(self, key: str, size: int) -> None:
        if key not in self.versions:
            return
        self.versions[key] += 1
        version = self.versions[key]
        changes, outcome = appends(version - 1, b"y" * size), stored(version, version, version)
        for copies in (self.copies, self.large):
            copies.committed(key, changes, outcome)
        self.at_once.follow(key, changes, outcome, WINDOW)

    @rule(key=keys)
    def ask(self, key: str) -> None:
        assert self.copies.memory(key).size <= 10_000
        lazily = self.large.memory(key).load(key, WINDOW)
        at_once = self.at_once.load(key, WINDOW)
        assert (lazily.version, list(lazily.messages)) == (at_once.version, list(at_once.messages))

    @rule(key=keys)
    def forget(self, key: str) -> None:
        for copies in (self.copies, self.large):
            copies.forget(key)
        self.at_once.forget(key)
        self.versions.pop(key, None)

    @rule()
    def wait(self) -> None:
        self.clock.now += 1

    @invariant()
    def is_bounded(self) -> None:
        assert len(self.copies) <= 3
        assert self.copies.size <= 10_000


TestBounds = Bounds.TestCase
TestBounds.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
