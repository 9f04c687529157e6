"""Any order of operations leaves every backend with what a simple model says."""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import Changes, Outcome, Put, Snapshot
from tests.backends.harness import TIMEOUT, Subject, commit_id
from tests.servers import Servers

T = TypeVar("T")

KEYS = st.sampled_from(["one", "two"])
NAMES = st.sampled_from(["a", "b"])
VALUES = st.sampled_from([b"1", b"2", b"a value of more than sixteen bytes"])
WHOLE = 0


class Stored:
    """What one conversation should be: a dict, a list, and what was said of each commit."""

    def __init__(self) -> None:
        self.version = 0
        self.birth = ""
        self.fields: dict[str, bytes] = {}
        self.log: dict[int, bytes] = {}
        self.next = 1
        self.deleted = False
        self.done: dict[str, Outcome] = {}

    def commit(self, changes: Changes, *, reject: bool) -> tuple[str, list[str]]:
        """Return the status and the conflicts that a backend should answer with."""
        if changes.revive:
            self.deleted = False
        if self.deleted:
            return "gone", []
        if not self.version and changes.base_version:
            return "gone", []
        if self.version and changes.base_version and changes.birth != self.birth:
            return "gone", []
        found = self._conflicts(changes)
        if found and reject:
            return "conflict", found
        self._apply(changes)
        return "committed", found

    def _conflicts(self, changes: Changes) -> list[str]:
        held, log = self.fields, self.log
        found = [
            name
            for name, put in changes.fields.items()
            if held.get(name) not in (put.base, put.value)
        ]
        found += [name for name, base in changes.removed.items() if held.get(name, base) != base]
        return found + [
            f"messages#{number}"
            for number, put in changes.replaced.items()
            if log.get(number) not in (put.base, put.value)
        ]

    def _apply(self, changes: Changes) -> None:
        if not self.version:
            self.birth = changes.commit_id
        self.version += 1
        self.fields |= {name: put.value for name, put in changes.fields.items()}
        for name in changes.removed:
            self.fields.pop(name, None)
        for number, put in changes.replaced.items():
            if number in self.log:
                self.log[number] = put.value
        gone = {*changes.dropped, *(number for number in self.log if number <= changes.cleared)}
        self.log = {number: value for number, value in self.log.items() if number not in gone}
        for value in changes.appended:
            self.log[self.next] = value
            self.next += 1

    def delete(self) -> bool:
        existed = self.version > 0
        self.__init__()  # type: ignore[misc]
        self.deleted = True
        return existed


class Machine(RuleBasedStateMachine):
    """Requests that load, and commit later what they make of what they have seen."""

    subject: ClassVar[Subject]
    reject: ClassVar[bool]
    keys = KEYS
    held = Bundle("held")
    sent = Bundle("sent")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.prefix = commit_id()  # each example has conversations of its own
        self.backend: Backend = self.subject.make(reject=self.reject)
        self.stored: dict[str, Stored] = {"one": Stored(), "two": Stored()}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.backend.close())
            self.runner.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def name(self, key: str) -> str:
        return f"{self.prefix}-{key}"

    @rule(target=held, key=KEYS)
    def look(self, key: str) -> tuple[str, Snapshot]:
        return self.load(key)

    def load(self, key: str) -> tuple[str, Snapshot]:
        snapshot = self.run(self.backend.load(self.name(key), WHOLE, TIMEOUT))
        stored = self.stored[key]
        assert snapshot.deleted == stored.deleted
        assert snapshot.version == stored.version
        assert snapshot.fields == stored.fields
        assert dict(snapshot.messages) == stored.log
        assert snapshot.total == len(stored.log)
        return key, snapshot

    @rule(
        target=sent,
        seen=held,
        fields=st.dictionaries(NAMES, VALUES, max_size=2),
        removed=st.sets(NAMES, max_size=1),
        appended=st.lists(VALUES, max_size=2),
        edit=st.sampled_from(["", "replace", "drop", "clear", "revive"]),
        place=st.integers(0, 5),
        waits=st.integers(0, 3),
    )
    def commit(  # noqa: PLR0917
        self,
        seen: tuple[str, Snapshot],
        fields: dict[str, bytes],
        removed: set[str],
        appended: list[bytes],
        edit: str,
        place: int,
        waits: int,
    ) -> tuple[str, Changes]:
        """Commit what rests on what was seen: long ago, or three times of four just now."""
        key, snapshot = self.load(seen[0]) if waits else seen
        changes = Changes(commit_id(), snapshot.version, birth=snapshot.birth, appended=appended)
        changes.fields = {n: Put(v, snapshot.fields.get(n)) for n, v in fields.items()}
        changes.removed = {
            name: snapshot.fields[name]
            for name in removed
            if name in snapshot.fields and name not in fields
        }
        numbers = snapshot.messages.numbers
        if numbers and edit in ("replace", "drop", "clear"):
            at = place % len(numbers)
            if edit == "replace":
                old = snapshot.messages.values[at]
                changes.replaced = {numbers[at]: Put(b"replaced", old)}
            elif edit == "drop":
                changes.dropped = [numbers[at]]
            else:
                changes.cleared = numbers[at]
        elif edit == "revive" and not snapshot.version:
            changes.revive = True
        if changes.empty():
            changes.appended = [b"something"]
        outcome = self.run(self.backend.commit(self.name(key), changes, TIMEOUT))
        stored = self.stored[key]
        status, conflicts = stored.commit(changes, reject=self.reject)
        assert (outcome.status, sorted(outcome.conflicts)) == (status, sorted(conflicts))
        if status == "committed":
            assert (outcome.version, outcome.birth) == (stored.version, stored.birth)
            stored.done[changes.commit_id] = outcome
        return key, changes

    @rule(again=consumes(sent))
    def commit_again(self, again: tuple[str, Changes]) -> None:
        """As whoever has not heard what came of it: within the last eight, it changes nothing."""
        key, changes = again
        stored = self.stored[key]
        recent = list(stored.done)[-8:]
        if changes.commit_id not in recent:
            return
        outcome = self.run(self.backend.commit(self.name(key), changes, TIMEOUT))
        before = stored.done[changes.commit_id]
        assert (outcome.status, outcome.version, outcome.first_seq) == (
            "committed", before.version, before.first_seq,
        )  # fmt: skip

    @rule(target=held, key=KEYS)
    def delete(self, key: str) -> MultipleResults[tuple[str, Snapshot]]:
        existed = self.run(self.backend.delete(self.name(key), TIMEOUT))
        assert existed == self.stored[key].delete()
        return multiple()

    @rule(key=KEYS)
    def touch(self, key: str) -> None:
        refreshed = self.run(self.backend.touch(self.name(key), TIMEOUT)) > 0
        assert refreshed == (self.stored[key].version > 0)

    @rule(key=KEYS, count=st.integers(1, 4), place=st.integers(0, 6))
    def older(self, key: str, count: int, place: int) -> None:
        numbers = sorted(self.stored[key].log)
        before = numbers[place % len(numbers)] if numbers else 1
        found = self.run(self.backend.older(self.name(key), before, count, TIMEOUT))
        expected = [number for number in numbers if number < before][-count:]
        assert list(found.numbers) == expected

    @invariant()
    def has_what_the_model_has(self) -> None:
        if not hasattr(self, "backend"):
            return
        for key, stored in self.stored.items():
            assert self.run(self.backend.has(self.name(key), TIMEOUT)) == (stored.version > 0)


@pytest.fixture(params=["memory", "fallback", "valkey-9", "redis-6.2"])
def kind(request: pytest.FixtureRequest, servers: Servers) -> Subject:
    kind: str = request.param
    server = None
    if kind != "memory":
        server = servers.get("valkey-9" if kind == "fallback" else kind)
    return Subject(kind, server)


@pytest.mark.parametrize("reject", [False, True], ids=["merge", "reject"])
def test_any_order_of_operations_leaves_what_the_model_says(kind: Subject, reject: bool) -> None:
    class ThisMachine(Machine):
        pass

    ThisMachine.subject, ThisMachine.reject = kind, reject
    run_state_machine_as_test(
        ThisMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
