"""A list that is assigned is the log; what of it was stored already is not stored again."""

import copy
from collections.abc import Callable

import pytest

from jv_session_mw import ConversationStore, Message
from jv_session_mw.changes import Changes
from jv_session_mw.messages import Messages
from tests.handles import Handle, loaded, say

QUESTION, ANSWER, NEW = say("question"), say("answer"), say("new")
OLD = [QUESTION, ANSWER]


def the_same(messages: Messages) -> list[Message]:
    return list(messages)


def equal_ones(messages: Messages) -> list[Message]:
    return copy.deepcopy(list(messages))


def some_of_each(messages: Messages) -> list[Message]:
    return [copy.deepcopy(messages[0]), *messages[1:]]


kept = pytest.mark.parametrize("kept", [the_same, equal_ones, some_of_each])


def assign(handle: Handle, messages: list[Message]) -> None:
    """Do what `conversation.messages = messages` does."""
    handle.messages.clear()
    handle.messages.extend(messages)


def sent(handle: Handle) -> Changes:
    changes = handle.commit()
    assert changes is not None
    return changes


@kept
def test_two_turns_that_assign_the_old_and_a_new_one_append_each(
    kept: Callable[[Messages], list[Message]],
) -> None:
    one = loaded(OLD)
    other = Handle(one.memory)
    for handle, text in ((one, "a"), (other, "b")):
        assign(handle, [*kept(handle.messages), say(text)])
        handle.commit()
    assert one.stored() == [*OLD, say("a"), say("b")]


@kept
def test_only_what_is_new_is_sent(kept: Callable[[Messages], list[Message]]) -> None:
    handle = loaded(OLD)
    assign(handle, [*kept(handle.messages), NEW])
    changes = sent(handle)
    assert (len(changes.appended), changes.edits_log()) == (1, False)
    assign(handle, [*kept(handle.messages), NEW])
    assert len(sent(handle).appended) == 1


@kept
def test_what_was_there_already_is_nothing_to_send(
    kept: Callable[[Messages], list[Message]],
) -> None:
    handle = loaded(OLD)
    assign(handle, kept(handle.messages))
    assert handle.commit() is None


@kept
def test_older_messages_go_and_those_that_are_kept_stay_where_they_are(
    kept: Callable[[Messages], list[Message]],
) -> None:
    handle = loaded([say(number) for number in range(9)], window=3)
    assign(handle, [*kept(handle.messages)[1:], NEW])
    changes = sent(handle)
    assert (changes.cleared, len(changes.appended), changes.dropped) == (7, 1, [])
    assert handle.stored() == [say(7), say(8), NEW]
    assert handle.messages.total == 3


def test_what_is_left_out_at_the_end_is_dropped() -> None:
    handle = loaded([QUESTION, ANSWER, NEW])
    assign(handle, [*handle.messages[:1], say("better")])
    assert sent(handle).dropped == [2, 3]
    assert handle.stored() == [QUESTION, say("better")]


def test_a_message_that_is_changed_and_kept_is_replaced() -> None:
    handle = loaded(OLD)
    whole = list(handle.messages)
    whole[1]["content"] = "edited"
    assign(handle, whole)
    assert list(sent(handle).replaced) == [2]
    assert handle.stored() == [QUESTION, say("edited")]


@pytest.mark.parametrize("order", ["nqa", "aq", "qaqa", "cqa", "qna", "qqa", "n", ""])
def test_any_order_can_be_assigned(order: str) -> None:
    handle = loaded(OLD)
    question, answer = handle.messages
    pieces = {"q": question, "a": answer, "c": copy.copy(answer), "n": NEW}
    whole = [pieces[piece] for piece in order]
    assign(handle, whole)
    handle.commit()
    assert handle.stored() == whole == handle.messages
    handle.messages.append(say("next"))
    handle.commit()
    assert handle.stored() == [*whole, say("next")]


def test_what_nobody_has_looked_at_is_not_mistaken_for_what_comes_in_its_place() -> None:
    handle = loaded(OLD)
    assign(handle, [say("a"), say("b")])
    handle.commit()
    assert handle.stored() == [say("a"), say("b")]


async def test_two_requests_that_assign_the_old_and_a_new_one_append_each(
    store: ConversationStore,
) -> None:
    await store.set("id", {"messages": [say(number) for number in range(60)]})
    await assign_in_two_turns(store)
    async with store.open("id") as conversation:
        assert conversation.messages.total == 52
        contents = [message["content"] for message in conversation.messages]
        assert contents[-4:] == [58, 59, "one", "other"]


async def assign_in_two_turns(store: ConversationStore) -> None:
    async with store.open("id") as other, store.open("id") as one:
        one.messages = [*one.messages, say("one")]
        other.messages = [*other.messages, say("other")]
