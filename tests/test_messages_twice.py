"""Equal messages, and one object in several places of the log: each place is a message."""

import pytest

from tests.handles import Handle, loaded, say


@pytest.fixture
def handle() -> Handle:
    """A conversation of three messages, loaded."""
    return loaded(say(at) for at in range(3))


def test_equal_messages_are_two(handle: Handle) -> None:
    handle.messages.extend([say("same"), say("same")])
    handle.commit()
    assert handle.stored()[3:] == [say("same"), say("same")]
    del handle.messages[3]
    handle.commit()
    handle.messages[3]["content"] = "other"
    handle.commit()
    assert handle.stored()[3:] == [say("other")]


def test_one_object_twice_is_two_messages(handle: Handle) -> None:
    message = say("again")
    handle.messages.extend([message, message])
    handle.commit()
    assert handle.stored()[3:] == [message, message]
    assert handle.commit() is None


def test_one_object_may_be_appended_again_after_a_commit(handle: Handle) -> None:
    message = say("again")
    handle.messages.append(message)
    handle.commit()
    handle.messages.append(message)
    handle.commit()
    assert handle.stored()[3:] == [message, message]
    handle.messages.append(handle.messages[0])
    handle.commit()
    assert handle.stored()[5:] == [say(0)]


def test_one_place_of_an_object_that_has_two_is_replaced(handle: Handle) -> None:
    message = say("twice")
    handle.messages.extend([message, message])
    handle.commit()
    handle.messages[3] = say("new")
    handle.commit()
    assert handle.stored()[3:] == [say("new"), message]


def test_an_object_comes_again_after_one_of_its_places_was_replaced(handle: Handle) -> None:
    message = say("twice")
    handle.messages.extend([message, message])
    handle.commit()
    handle.messages[3] = say("new")
    handle.messages.append(message)
    handle.commit()
    assert handle.stored()[3:] == [say("new"), message, message]
