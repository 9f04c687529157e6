"""What was not written by the codec is unreadable by name, and nothing else becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import MsgspecError

from jv_session_mw.codec import PLAIN, TAGGED, JsonCodec
from jv_session_mw.errors import UnreadableConversation

CODEC = JsonCodec()


@pytest.mark.parametrize("data", [b"j1;{", b't1;{"$t":"decimal","v":"one"}'])
def test_unreadable_data_has_what_the_reader_said_as_its_cause(data: bytes) -> None:
    with pytest.raises(UnreadableConversation) as unreadable:
        CODEC.decode(data, "state.x")
    assert isinstance(unreadable.value.__cause__, (MsgspecError, ArithmeticError))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1",
        b"{}",
        b"j1",
        b"j1;",
        b"j1;{",
        b'j1;{"a":1}x',
        b"j1;NaN",
        b'j1;"\xff"',
        b"j2;1",
        b"J1;1",
        b"t2;1",
        b"\x80\x04\x95",
        b"t1;" + b"[" * 100_000 + b"]" * 100_000,
        b"j1;" + b"[" * 100_000 + b"]" * 100_000,
        b't1;{"$t":"unknown","v":1}',
        b't1;{"$t":"datetime"}',
        b't1;{"$t":"datetime","v":"soon"}',
        b't1;{"$t":["datetime"],"v":1}',
        b't1;{"$t":null,"v":1}',
        b't1;{"$t":"timedelta","v":[1e300,0,0]}',
        b't1;{"$t":"timedelta","v":["1",0,0]}',
        b't1;{"$t":"decimal","v":"one"}',
    ],
)
def test_what_was_not_written_here_is_unreadable_by_name(data: bytes) -> None:
    with pytest.raises(UnreadableConversation) as unreadable:
        CODEC.decode(data, "state.x")
    assert unreadable.value.where == "state.x"


def complaint_about(data: bytes) -> str | None:
    """Return the part that is named as unreadable, None when *data* can be read."""
    try:
        CODEC.decode(data, "x")
    except UnreadableConversation as error:
        return error.where
    return None


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
tag_names = st.sampled_from(
    ["datetime", "date", "time", "timedelta", "decimal", "uuid", "bytes", "tuple", "dict", "new"]
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@given(tag_names, json_values)
def test_a_tag_around_anything_is_read_or_unreadable(tag: str, value: object) -> None:
    data = TAGGED + CODEC.encode([tag, value], "x").removeprefix(PLAIN)
    tag_json, _, value_json = data[len(TAGGED) + 1 : -1].partition(b",")
    assert complaint_about(b't1;{"$t":%s,"v":%s}' % (tag_json, value_json)) in (None, "x")


@given(st.sampled_from([b"", PLAIN, TAGGED]), st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_unreadable(header: bytes, body: bytes) -> None:
    assert complaint_about(header + body) in (None, "x")


@pytest.mark.parametrize("data", [b"", b"j1", b"j2;1", b"x1;1", b"\xff"])
def test_a_foreign_header_is_seen_without_decoding(data: bytes) -> None:
    assert not CODEC.claims(data)


def test_a_check_of_our_header_does_not_decode() -> None:
    assert CODEC.claims(PLAIN + b"{not json")
