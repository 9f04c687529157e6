"""Whatever happens, memory stays within its bounds and knows what it weighs."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jv_session_mw.backends.entry import weight
from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import Outcome, Put, Rules, Snapshot
from tests.backends.harness import TTL_MS, Clock, appends

keys = st.sampled_from(["a", "b", "c", "d"])
sizes = st.sampled_from([0, 100, 900])


class Bounds(RuleBasedStateMachine):
    """Whatever is done, the bytes that memory counts are those that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        rules = Rules(TTL_MS, max_messages=5)
        self.memory = Memory(
            rules, max_entries=3, max_bytes=4_000, clock=self.clock, wall=self.clock
        )
        self.other = Memory(rules, max_entries=2, max_bytes=3_000, clock=self.clock)

    @rule(key=keys, size=sizes, count=st.integers(0, 4), field=st.booleans())
    def apply(self, key: str, size: int, count: int, field: bool) -> None:
        changes = appends(0, *[b"x" * size] * count)
        if field:
            changes.fields["f"] = Put(b"y" * size)
        self.memory.commit(key, changes)

    @rule(key=keys, size=sizes, edit=st.sampled_from(["replace", "drop", "clear"]))
    def edit(self, key: str, size: int, edit: str) -> None:
        numbers = self.memory.load(key, 0).messages.numbers
        if not numbers:
            return
        changes = appends(0, b"x" * size)
        changes.removed["f"] = b""
        if edit == "replace":
            changes.replaced[numbers[0]] = Put(b"z" * size)
        elif edit == "drop":
            changes.dropped.append(numbers[0])
        else:
            changes.cleared = numbers[-1]
        self.memory.commit(key, changes)

    @rule(key=keys, size=sizes, count=st.integers(0, 6))
    def follow(self, key: str, size: int, count: int) -> None:
        outcome = Outcome("committed", 2, 5, TTL_MS, 50, 40)
        self.memory.follow(key, appends(1, *[b"x" * size] * count), outcome, window=1)

    @rule(key=keys, size=sizes)
    def keep(self, key: str, size: int) -> None:
        self.memory.keep(key, Snapshot(3, 5, TTL_MS, 1, {"f": b"x" * size}))

    @rule(key=keys)
    def admit(self, key: str) -> None:
        if key not in self.memory:
            self.memory.admit(key, appends(5))

    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.memory.forget(key)

    @rule(key=keys)
    def move(self, key: str) -> None:
        if key not in self.other:
            self.memory.move(key, self.other)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_what_it_holds(self) -> None:
        for memory, most, bound in ((self.memory, 3, 4_000), (self.other, 2, 3_000)):
            assert len(memory) <= most
            assert 0 <= memory.size <= bound
            held = [memory.load(key, 0) for key in ("a", "b", "c", "d") if key in memory]
            assert memory.size == sum(map(weight, held))

    def teardown(self) -> None:
        for key in ("a", "b", "c", "d"):
            self.memory.forget(key)
            self.other.forget(key)
        assert (self.memory.size, self.other.size) == (0, 0)


TestBounds = Bounds.TestCase
TestBounds.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
