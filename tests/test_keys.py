"""Ids and owners -> keys: no id reaches another key."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw.keys import HASHED, MAX_LENGTH, decode_key, encode_key, known_id

ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-%~")

hostile = st.sampled_from(
    [
        "", "*", "{", "}", "{}", ":", ":m", ":d", "~", "%", "%%", "%7E", "%2A", "a~b", "?", "[a]",
        "\\", "\n", "\0", " ", "/", "..", "\ud800", "\udfff", "\ud83d\ude00", "😀",
        "é", "e\u0301", "ﬁ", "fi", "K", "\u212a", "a" * MAX_LENGTH, "a" * (MAX_LENGTH + 1),
        "a" * 10_000, "a" * 9_999 + "b", "é" * 10_000, "%%" + "0" * 64,
    ]
)  # fmt: skip
ids = hostile | st.text(st.characters(), max_size=40) | st.text("*{}:~%7E", max_size=8)
owners = st.none() | ids


@given(st.tuples(ids, owners), st.tuples(ids, owners))
def test_two_conversations_never_share_a_key(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    assert (encode_key(*one) == encode_key(*other)) == (one == other)


@given(ids, owners)
def test_the_id_of_a_key_is_known_unless_it_has_only_its_hash(id: str, owner: str | None) -> None:
    key = encode_key(id, owner)
    is_hash = key.rpartition("~")[2].startswith(HASHED)
    assert known_id(key) == ("" if is_hash else decode_key(key)[0])
    assert is_hash == (len(id.encode("utf-8", "surrogatepass")) > MAX_LENGTH)


@given(ids, owners)
def test_a_key_is_short_and_holds_only_harmless_letters(id: str, owner: str | None) -> None:
    key = encode_key(id, owner)
    assert set(key) <= ALLOWED
    assert 0 < len(key) <= 2 * 3 * MAX_LENGTH + 1
    assert key.count("~") == (owner is not None)


@given(ids, owners)
def test_id_and_owner_are_read_back_from_a_key(id: str, owner: str | None) -> None:
    known_id, known_owner = decode_key(encode_key(id, owner))
    for part, known in ((id, known_id), (owner, known_owner)):
        if part is None or len(part.encode("utf-8", "surrogatepass")) <= MAX_LENGTH:
            assert known == part
        else:
            assert known is not None
            assert known.startswith("%%")


def test_unicode_normal_forms_are_different_ids() -> None:
    id = "é ﬁ \u212b"
    composed, decomposed = unicodedata.normalize("NFKC", id), unicodedata.normalize("NFD", id)
    assert len({encode_key(form) for form in (id, composed, decomposed)}) == 3


def test_no_owner_and_an_empty_owner_are_two() -> None:
    assert encode_key("id") != encode_key("id", "")


def test_an_owner_cannot_be_faked_by_an_id() -> None:
    assert encode_key("victim~id") != encode_key("id", "victim")


@pytest.mark.parametrize("key", ["%FF", "%", "%%", "~", "~~", "%ED%A0", "%zz", "a~b~c", "%C3"])
def test_a_key_that_was_made_elsewhere_breaks_nothing(key: str) -> None:
    id, _ = decode_key(key)
    assert isinstance(id, str)
