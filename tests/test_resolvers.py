"""Where a token stands in a request, and the header that hands it out."""

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jv_session_mw import ConfigurationError, Cookie, Header
from jv_session_mw.resolvers import MAX_CANDIDATES, MAX_COOKIE_BYTES, Resolver

COOKIE = Cookie("conversation")
HEADER = Header("X-Conversation-ID")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"__Host-conversation=abc"], ["abc"]),
        ([b"a=1; __Host-conversation=abc; b=2"], ["abc"]),
        ([b"a=1;__Host-conversation=abc;b=2"], ["abc"]),
        ([b"  __Host-conversation =  abc  "], ["abc"]),
        ([b'__Host-conversation="abc"'], ["abc"]),
        ([b"__Host-conversation=a=b=="], ["a=b=="]),
        ([b"a=1", b"__Host-conversation=abc"], ["abc"]),
        ([b"__Host-conversation=one; __Host-conversation=two"], ["one", "two"]),
        ([b"__Host-conversation=one", b"__Host-conversation=two"], ["one", "two"]),
        ([b"__Host-conversation=one; __Host-conversation=one"], ["one"]),
        ([b"conversation=abc"], []),
        ([b"__host-conversation=abc"], []),
        ([b"x__Host-conversation=abc"], []),
        ([b"__Host-conversation"], []),
        ([b"__Host-conversation="], []),
        ([b"__Host-conversation=\xff\xfe"], []),
        ([b"__Host-conversation=\xc3\xa9"], []),
        ([b"__Host-conversation=" + b"a" * 513], []),
        ([b""], []),
        ([b";;;=;=="], []),
        ([], []),
    ],
)
def test_the_one_cookie_is_found_among_any(values: list[bytes], expected: list[str]) -> None:
    assert list(COOKIE.candidates(values)) == expected


@pytest.mark.parametrize("filler", [b"a=1;", b";", b"__Host-conversation=x;", b'a="\\"\\";', b"="])
def test_a_cookie_header_past_the_bound_is_not_looked_at(filler: bytes) -> None:
    pair = b"__Host-conversation=abc"
    fill = (filler * MAX_COOKIE_BYTES)[: MAX_COOKIE_BYTES + 1 - len(pair)]
    assert COOKIE.candidates([fill + pair]) == ()
    assert COOKIE.candidates([fill, pair]) == ()
    assert COOKIE.candidates([filler * 1_000_000]) == ()


def test_a_cookie_header_within_the_bound_is_read_to_its_end() -> None:
    pair = b";__Host-conversation=abc"
    fill = (b"a=1;" * MAX_COOKIE_BYTES)[: MAX_COOKIE_BYTES - len(pair)]
    assert COOKIE.candidates([fill + pair]) == ("abc",)


def test_a_flood_of_the_same_cookie_is_nobodys() -> None:
    pairs = b"; ".join(b"__Host-conversation=%d" % at for at in range(MAX_CANDIDATES + 1))
    assert COOKIE.candidates([pairs]) == ()


@given(st.lists(st.binary()))
def test_whatever_a_client_sends_is_read_as_ascii_or_not_at_all(values: list[bytes]) -> None:
    for resolver in (COOKIE, HEADER):
        found = resolver.candidates(values)
        assert all(token.isascii() and 0 < len(token) <= 512 for token in found)
        assert len(set(found)) == len(found) <= MAX_CANDIDATES


@given(st.lists(st.tuples(st.text("abc_-"), st.text("abc.-_")), max_size=6))
def test_a_well_formed_cookie_header_is_read_as_the_standard_parser_does(
    pairs: list[tuple[str, str]],
) -> None:
    text = "; ".join(f"n{name}={value}" for name, value in [*pairs, ("", "last")])
    standard = SimpleCookie(text)["n"].value
    assert Cookie("n", secure=False).candidates([text.encode()])[-1] == standard


def test_a_secure_cookie_has_the_prefix_and_its_attributes() -> None:
    name, value = COOKIE.issue("abc")
    assert name == b"set-cookie"
    parts = value.split(b"; ")
    assert parts[0] == b"__Host-conversation=abc"
    assert set(parts[1:]) == {b"Path=/", b"HttpOnly", b"SameSite=Lax", b"Secure"}


def test_a_cookie_without_tls_has_neither_prefix_nor_secure() -> None:
    plain = COOKIE.without_tls()
    _, value = plain.issue("abc")
    assert value.startswith(b"conversation=abc; ")
    assert b"Secure" not in value
    assert b"HttpOnly" in value
    assert plain.candidates([b"conversation=abc; __Host-conversation=x"]) == ("abc",)
    assert plain.name == COOKIE.name


def test_what_is_issued_is_what_is_read() -> None:
    for resolver in (COOKIE, COOKIE.without_tls(), HEADER):
        name, value = resolver.issue("abc")
        carried = value.split(b";")[0] if name == b"set-cookie" else value
        assert resolver.candidates([carried]) == ("abc",)


def test_a_revoked_cookie_expires_at_once_where_it_was_set() -> None:
    revoked = COOKIE.revoke()
    assert revoked is not None
    assert revoked[1].startswith(b"__Host-conversation=; Max-Age=0; ")
    for attribute in (b"Path=/", b"Secure", b"HttpOnly"):
        assert attribute in revoked[1]


def test_a_header_is_answered_with_the_same_header() -> None:
    assert HEADER.issue("abc") == (b"x-conversation-id", b"abc")
    assert HEADER.candidates([b"abc"]) == ("abc",)
    assert HEADER.without_tls() is HEADER


@pytest.mark.parametrize(
    ("resolver", "vary"), [(COOKIE, b"Cookie"), (HEADER, b"X-Conversation-ID")]
)
def test_each_says_which_header_decides(resolver: Resolver, vary: bytes) -> None:
    assert resolver.vary == vary


@pytest.mark.parametrize(
    "name", ["", "a b", "a;b", "a=b", "a,b", "a\n", "é", "a\r\nb: c", '"a"', "a/b", "\0"]
)
@pytest.mark.parametrize("kind", [Cookie, Header])
def test_a_name_that_no_client_would_send_back_is_refused(
    kind: type[Cookie | Header], name: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        kind(name)
    assert repr(name) in str(refused.value)
    assert kind.__name__.lower() in str(refused.value)
