"""What was read lately is not decoded again, and what is handed out is nobody else's."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from jv_session_mw import UnreadableConversation
from jv_session_mw.changes import Stretch
from jv_session_mw.codec import JsonCodec
from jv_session_mw.message_cache import OVERHEAD_BYTES, MessageCache
from jv_session_mw.originals import is_as, original_of


class CountingCodec(JsonCodec):
    def __init__(self) -> None:
        self.decoded = 0

    def decode_all(self, items: Sequence[bytes], where: Callable[[int], str]) -> list[object]:
        self.decoded += len(items)
        return super().decode_all(items, where)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def codec() -> CountingCodec:
    return CountingCodec()


def say(at: int) -> dict[str, Any]:
    return {"role": "user", "content": f"message {at}"}


CALL: dict[str, Any] = {
    "role": "assistant",
    "calls": [{"name": "find", "arguments": {"to": "LIS"}}],
}


def stored(*messages: object, first: int = 1) -> Stretch:
    numbers = range(first, first + len(messages))
    return Stretch(numbers, [JsonCodec().encode(message, "message") for message in messages])


@pytest.mark.parametrize("message", [say(1), "text", 7, {}, {"role": None, "tokens": 3.5}])
def test_a_message_that_comes_again_is_not_decoded_again(
    codec: CountingCodec, message: object
) -> None:
    cache = MessageCache(codec)
    for _ in range(3):
        messages, originals = cache.read(stored(message))
        assert messages == [message]
        assert is_as(messages[0], originals[0])
    assert codec.decoded == 1


@pytest.mark.parametrize("message", [CALL, [1, 2], {"role": "user", "on": date(2026, 11, 26)}])
def test_what_could_be_changed_inside_or_is_not_plain_is_decoded_each_time(
    codec: CountingCodec, message: object
) -> None:
    cache = MessageCache(codec)
    for count in (1, 2):
        messages, originals = cache.read(stored(say(1), message))
        assert messages == [say(1), message]
        assert is_as(messages[0], originals[0])
        assert originals[1] is None
        assert codec.decoded == 1 + count


@pytest.mark.parametrize("message", [say(1), CALL])
def test_what_one_reader_does_to_a_message_no_other_one_sees(
    codec: CountingCodec, message: dict[str, Any]
) -> None:
    cache = MessageCache(codec)
    for _ in range(3):
        (mine,), _ = cache.read(stored(message))
        assert mine == message
        mine["content"] = "changed"
        for call in mine.get("calls", ()):
            call["arguments"]["to"] = "OPO"


def test_only_what_is_new_is_decoded(codec: CountingCodec) -> None:
    cache = MessageCache(codec)
    cache.read(stored(say(1), say(2)))
    messages, originals = cache.read(stored(say(0), say(1), say(2), say(3)))
    assert messages == [say(0), say(1), say(2), say(3)]
    assert all(map(is_as, messages, originals))
    assert codec.decoded == 2 + 2


def test_what_is_kept_when_it_is_written_is_never_decoded(codec: CountingCodec) -> None:
    cache, stretch = MessageCache(codec), stored(say(1))
    cache.keep(stretch.values[0], original_of(say(1)))
    assert cache.read(stretch)[0] == [say(1)]
    assert codec.decoded == 0


def test_a_message_that_cannot_be_read_is_named_by_its_number(codec: CountingCodec) -> None:
    cache, good = MessageCache(codec), stored(say(1), first=7)
    cache.read(good)
    for broken in (b"j1;{", b"?"):
        with pytest.raises(UnreadableConversation, match="message 8"):
            cache.read(Stretch(range(7, 9), [*good.values, broken]))


def test_what_has_not_come_again_is_forgotten_after_two_spans(codec: CountingCodec) -> None:
    clock = Clock()
    cache = MessageCache(codec, seconds=60, clock=clock)
    often, once = stored(say(1)), stored(say(2))
    cache.read(once)
    for _ in range(9):
        cache.read(often)
        clock.now += 40
    assert codec.decoded == 2
    cache.read(once)
    assert codec.decoded == 3


def test_what_comes_again_within_the_span_is_not_forgotten(codec: CountingCodec) -> None:
    clock = Clock()
    cache = MessageCache(codec, seconds=60, clock=clock)
    cache.read(stored(say(1)))
    clock.now += 59
    cache.read(stored(say(2)))
    clock.now += 60
    cache.read(stored(say(1)))
    assert codec.decoded == 2


def test_it_takes_no_more_than_it_may(codec: CountingCodec) -> None:
    each = 2 * len(stored(say(100)).values[0]) + OVERHEAD_BYTES
    cache = MessageCache(codec, max_bytes=20 * each)
    for at in range(100, 200):
        cache.read(stored(say(at)))
    assert codec.decoded == 100

    for at in range(190, 200):  # the last ten are there
        cache.read(stored(say(at)))
    assert codec.decoded == 100
    for at in range(100, 180):  # the first eighty are not
        cache.read(stored(say(at)))
    assert codec.decoded == 180
