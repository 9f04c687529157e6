"""Whatever a handler does to the messages is what a plain list would hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jv_session_mw import Message
from tests.handles import Handle, say


class Edits(RuleBasedStateMachine):
    """A handler edits the list between commits, and what is stored is what a list would be."""

    def __init__(self) -> None:
        super().__init__()
        self.handle = Handle()
        self.plain: list[Message] = []
        self.count = 0
        self.appended = 0

    @initialize(size=st.integers(0, 5))
    def start(self, size: int) -> None:
        author = Handle()
        author.messages.extend(say(f"start {at}") for at in range(size))
        author.commit()
        self.handle = Handle(author.memory)
        self.plain = author.stored()

    def new(self) -> Message:
        self.count += 1
        return say(f"new {self.count}")

    @rule(count=st.integers(1, 3))
    def append(self, count: int) -> None:
        for _ in range(count):
            message = self.new()
            self.handle.messages.append(message)
            self.plain.append(dict(message))

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def assign(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.plain) - 1))
        message = self.new()
        self.handle.messages[at] = message
        self.plain[at] = dict(message)

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.plain) - 1))
        del self.handle.messages[at]
        del self.plain[at]

    @precondition(lambda self: self.plain)
    @rule()
    def pop(self) -> None:
        assert self.handle.messages.pop() == self.plain.pop()

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.plain) - 1))
        self.count += 1
        for message in (self.handle.messages[at], self.plain[at]):
            message.setdefault("parts", []).append(self.count)

    @rule()
    def clear(self) -> None:
        self.handle.messages.clear()
        self.plain.clear()

    @rule()
    def commit(self) -> None:
        self.handle.commit()
        assert self.handle.stored() == self.plain
        assert self.handle.commit() is None

    @rule()
    def commit_and_load(self) -> None:
        self.handle.commit()
        self.handle = Handle(self.handle.memory)

    @invariant()
    def looks_like_a_list(self) -> None:
        assert self.handle.messages == self.plain

    def teardown(self) -> None:
        self.commit()


TestEdits = Edits.TestCase
TestEdits.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_clear_removes_what_is_not_here_also_once_all_that_was_here_is_gone() -> None:
    author = Handle()
    author.messages.extend(say(at) for at in range(10))
    author.commit()
    handle = Handle(author.memory, window=2)
    del handle.messages[:]
    handle.commit()
    assert len(handle.stored()) == 8
    handle.messages.clear()
    handle.commit()
    assert handle.stored() == []
    handle.messages.clear()
    assert handle.commit() is None
