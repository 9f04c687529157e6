"""What was read lately is not decoded again, and what is handed out is nobody else's."""

import tracemalloc
import weakref
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from time import monotonic
from typing import Any, cast

import pytest

from jv_session_mw import UnreadableConversation
from jv_session_mw.backends.memory import Memory
from jv_session_mw.changes import Rules
from jv_session_mw.codec import JsonCodec
from jv_session_mw.fingerprints import matches
from jv_session_mw.message_cache import MAX_BYTES, SECONDS, MessageCache
from jv_session_mw.messages import Source
from jv_session_mw.state.kind import state_kind
from jv_session_mw.stretch import Stretch
from jv_session_mw.working_copy import WorkingCopy


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


def warmed(
    codec: CountingCodec,
    *messages: object,
    max_bytes: int = MAX_BYTES,
    seconds: float = SECONDS,
    clock: Callable[[], float] = monotonic,
) -> MessageCache:
    """Return a cache that knows *messages*."""
    cache = MessageCache(codec, max_bytes=max_bytes, seconds=seconds, clock=clock)
    for _ in range(2):
        cache.read(stored(*messages))
    codec.decoded = 0
    return cache


DATED: dict[str, Any] = {"role": "user", "on": date(2026, 11, 26), "price": Decimal("1.50")}


@pytest.mark.parametrize(
    "message", [say(1), "text", 7, {}, {"role": None, "tokens": 3.5}, DATED, DATED["on"]]
)
def test_a_message_that_has_come_twice_is_not_decoded_again(
    codec: CountingCodec, message: object
) -> None:
    cache = MessageCache(codec)
    for _ in range(4):
        messages, fingerprints = cache.read(stored(message))
        assert messages == [message]
        assert fingerprints == [None] or matches(messages[0], fingerprints[0])
    assert codec.decoded == 2


@pytest.mark.parametrize("message", [CALL, [1, 2], {"role": "user", "on": (2026, 11)}])
def test_what_could_be_changed_inside_or_is_a_tuple_is_decoded_each_time(
    codec: CountingCodec, message: object
) -> None:
    cache = warmed(codec, say(1))
    for count in (1, 2, 3):
        messages, fingerprints = cache.read(stored(say(1), message))
        assert messages == [say(1), message]
        assert matches(messages[0], fingerprints[0])
        assert fingerprints[1] is None
        assert codec.decoded == count


@pytest.mark.parametrize("message", [say(1), CALL])
def test_what_one_reader_does_to_a_message_no_other_one_sees(
    codec: CountingCodec, message: dict[str, Any]
) -> None:
    cache = MessageCache(codec)
    for _ in range(4):
        (mine,), _ = cache.read(stored(message))
        assert mine == message
        mine["content"] = "changed"
        for call in mine.get("calls", ()):
            call["arguments"]["to"] = "OPO"


def test_only_what_is_new_is_decoded(codec: CountingCodec) -> None:
    cache = warmed(codec, say(1), say(2))
    messages, fingerprints = cache.read(stored(say(0), say(1), say(2), say(3)))
    assert messages == [say(0), say(1), say(2), say(3)]
    assert [matches(messages[at], fingerprints[at]) for at in range(4)] == [
        False,
        True,
        True,
        False,
    ]
    assert codec.decoded == 2


def test_a_message_that_cannot_be_read_is_named_by_its_number(codec: CountingCodec) -> None:
    cache, good = warmed(codec, say(1)), stored(say(1), first=7)
    for broken in (b"j1;{", b"?"):
        with pytest.raises(UnreadableConversation, match="message 8"):
            cache.read(Stretch(range(7, 9), [*good.values, broken]))


def test_what_has_not_come_again_is_forgotten_after_two_spans(codec: CountingCodec) -> None:
    clock = Clock()
    cache = warmed(codec, say(1), say(2), seconds=60, clock=clock)
    for _ in range(9):
        cache.read(stored(say(1)))
        clock.now += 40
    assert codec.decoded == 0
    cache.read(stored(say(2)))
    assert codec.decoded == 1


def test_after_two_spans_without_a_read_nothing_is_left(codec: CountingCodec) -> None:
    clock = Clock()
    cache = warmed(codec, say(1), seconds=60, clock=clock)
    clock.now += 120
    cache.read(stored(say(2)))
    cache.read(stored(say(1)))
    assert codec.decoded == 2


def test_what_comes_again_within_the_span_is_not_forgotten(codec: CountingCodec) -> None:
    clock = Clock()
    cache = warmed(codec, say(1), seconds=60, clock=clock)
    clock.now += 59
    cache.read(stored(say(2)))
    clock.now += 60
    cache.read(stored(say(1)))
    assert codec.decoded == 1


def test_by_itself_it_forgets_within_minutes(codec: CountingCodec) -> None:
    clock = Clock()
    cache = warmed(codec, say(1), clock=clock)
    clock.now += 5 * 60 - 1
    cache.read(stored(say(1)))
    assert codec.decoded == 0
    clock.now += 10 * 60 + 1
    cache.read(stored(say(1)))
    assert codec.decoded == 1


SHAPES: dict[str, Callable[[int], object]] = {
    "short": lambda at: {"role": "user", "content": f"{at}"},
    "long": lambda at: {"role": "user", "content": f"{at:5000}"},
    "wide characters": lambda at: {"role": "user", "content": f"\N{PARTY POPPER}{at:5000}"},
    "many parts": lambda at: {f"part {part}": part for part in range(at, at + 300)},
    "text": lambda at: f"{at:300}",
}


def kept(codec: CountingCodec, shape: Callable[[int], object], count: int) -> int:
    """Return the bytes that a cache of 256 KiB holds after *count* messages."""
    tracemalloc.start()
    try:
        cache = MessageCache(codec, max_bytes=2**18)
        for at in range(1_000, 1_000 + count):
            for _ in range(2):
                cache.read(stored(shape(at)))
        with_it = tracemalloc.get_traced_memory()[0]
        del cache
        return with_it - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_it_takes_no_more_memory_than_it_may(codec: CountingCodec, shape: str) -> None:
    taken = [kept(codec, SHAPES[shape], count) for count in (5, 10, 15, 20, 50, 250, 500)]
    assert 2**15 < max(taken) < 2**18


def test_the_last_messages_are_there_and_the_first_ones_are_not(codec: CountingCodec) -> None:
    cache = MessageCache(codec, max_bytes=2**18)
    for at in range(2_000):
        for _ in range(2):
            cache.read(stored(say(at)))
    codec.decoded = 0
    for at in range(1_950, 2_000):
        cache.read(stored(say(at)))
    assert codec.decoded == 0
    for at in range(50):
        cache.read(stored(say(at)))
    assert codec.decoded == 50


def test_one_message_that_is_too_large_leaves_the_others_alone(codec: CountingCodec) -> None:
    cache, large = warmed(codec, say(1), max_bytes=2**18), stored("x" * 2**18)
    for _ in range(4):
        cache.read(large)
    cache.read(stored(say(1)))
    assert codec.decoded == 4


class Redacting(JsonCodec):
    """A codec that does not keep what it is given."""

    def encode(self, value: object, where: str) -> bytes:
        return super().encode({**cast("dict[str, object]", value), "secret": "***"}, where)


def test_what_a_codec_leaves_out_nobody_reads() -> None:
    codec, memory = Redacting(), Memory(Rules(60_000))
    cache, kind = MessageCache(codec), state_kind(cast("type[dict[str, Any]]", dict))

    def opened(key: str) -> WorkingCopy[dict[str, Any]]:
        held: WorkingCopy[dict[str, Any]] = WorkingCopy(
            codec, cache, kind, weakref.ref(cast("Source", codec))
        )
        held.rebase(memory.load(key, 0))
        return held

    for key in ("first", "second"):
        held = opened(key)
        held.messages.append({"secret": key})
        delta = held.collect()
        assert delta is not None
        held.absorb(delta, memory.commit(key, delta.changes))
    for key in ("first", "second") * 3:
        assert list(opened(key).messages) == [{"secret": "***"}]
