"""From a request to the id it may use, and from an id to the headers that hand it out."""

from collections.abc import Callable

import pytest

from jv_session_mw import Cookie, Header
from jv_session_mw.ids import TokenSigner
from jv_session_mw.tokens import NOTHING, RawHeaders, Tokens

KEYS = ["k" * 32, "o" * 32]
SIGNER = TokenSigner(KEYS, purpose="conversation")
HEADER, COOKIE = Header("X-Conversation-ID"), Cookie("conversation")
TOKENS = Tokens(SIGNER, [HEADER, COOKIE])
ONE, TWO = SIGNER.sign("one"), SIGNER.sign("two")
STALE = TokenSigner(KEYS[1:], purpose="conversation").sign("one")


def in_header(token: str) -> tuple[bytes, bytes]:
    return b"x-conversation-id", token.encode()


def in_cookie(*tokens: str) -> tuple[bytes, bytes]:
    return b"cookie", "; ".join(f"__Host-conversation={token}" for token in tokens).encode()


def test_each_place_carries_a_token() -> None:
    by_header = TOKENS.read([in_header(ONE)])
    by_cookie = TOKENS.read([in_cookie(ONE)])
    assert (by_header.id, by_header.by, by_header.stale) == ("one", HEADER, False)
    assert (by_cookie.id, by_cookie.by, by_cookie.stale) == ("one", COOKIE, False)


def test_the_names_of_headers_have_no_case() -> None:
    for headers in ([in_cookie(ONE)], [in_header(ONE)], [(b"accept", b"*/*"), in_cookie(ONE)]):
        assert TOKENS.read([(name.upper(), value) for name, value in headers]).id == "one"
        assert TOKENS.read([(name.title(), value) for name, value in headers]).id == "one"


def test_a_server_may_give_headers_as_lists() -> None:
    for headers in ([in_header(ONE)], [in_cookie(ONE), (b"accept", b"a"), (b"accept", b"b")]):
        assert TOKENS.read([[*pair] for pair in headers]).id == "one"


def test_a_header_that_comes_twice_is_read_twice() -> None:
    assert TOKENS.read([in_cookie("forged"), in_cookie(ONE)]).id == "one"
    assert TOKENS.read([in_cookie(ONE), in_cookie("forged")]).id == "one"
    assert TOKENS.read([in_cookie(ONE), (b"accept", b"a"), (b"accept", b"b")]).id == "one"


def test_the_first_place_with_a_valid_token_wins() -> None:
    assert TOKENS.read([in_cookie(ONE), in_header(TWO)]).id == "two"
    assert TOKENS.read([in_cookie(ONE), in_header("forged")]).id == "one"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [in_header("forged")],
        [in_cookie("")],
        [in_cookie("one")],
        [(b"x-conversation-id", b"\xff\xfe")],
        [(b"x-conversation-id", b"")],
        [(b"cookie", b"\x00" * 9_000)],
        [(b"cookie", b"__Host-conversation=" + ONE.encode() + b"\xff")],
    ],
)
def test_what_does_not_verify_is_nothing(headers: RawHeaders) -> None:
    assert TOKENS.read(headers) is NOTHING


def test_two_different_conversations_in_one_place_are_nobodys() -> None:
    assert TOKENS.read([in_cookie(ONE, TWO)]) is NOTHING
    assert TOKENS.read([in_cookie(ONE), in_cookie(TWO)]) is NOTHING
    assert TOKENS.read([in_header(ONE), in_header(TWO)]) is NOTHING


def test_two_in_one_place_are_not_decided_by_the_next_place() -> None:
    assert TOKENS.read([in_header(ONE), in_header(TWO), in_cookie(ONE)]) is NOTHING


def test_a_forged_cookie_beside_the_true_one_does_no_harm() -> None:
    assert TOKENS.read([in_cookie("forged", ONE)]).id == "one"
    assert TOKENS.read([in_cookie(ONE, "forged", "")]).id == "one"


def test_a_fresh_and_a_stale_token_of_one_conversation_agree() -> None:
    presented = TOKENS.read([in_cookie(STALE, ONE)])
    assert presented.id == "one"


def test_a_new_conversation_is_handed_out_everywhere() -> None:
    issued = dict(TOKENS.issue("one", NOTHING))
    assert set(issued) == {b"x-conversation-id", b"set-cookie"}
    assert TOKENS.read([in_header(issued[b"x-conversation-id"].decode())]).id == "one"
    pair = issued[b"set-cookie"].split(b";")[0]
    assert TOKENS.read([(b"cookie", pair)]).id == "one"


def test_another_conversation_than_the_presented_one_is_handed_out() -> None:
    presented = TOKENS.read([in_cookie(ONE)])
    assert [name for name, _ in TOKENS.issue("two", presented)] == [
        b"x-conversation-id",
        b"set-cookie",
    ]


def test_a_cookie_that_is_known_is_not_set_again() -> None:
    assert TOKENS.issue("one", TOKENS.read([in_cookie(ONE)])) == []


def test_a_client_of_the_header_finds_it_in_every_answer() -> None:
    assert TOKENS.issue("one", TOKENS.read([in_header(ONE)])) == [in_header(ONE)]


@pytest.mark.parametrize("put", [in_header, in_cookie])
def test_a_token_of_an_old_key_is_signed_anew_where_it_came_from(
    put: Callable[[str], tuple[bytes, bytes]],
) -> None:
    presented = TOKENS.read([put(STALE)])
    assert presented.stale
    issued = TOKENS.issue("one", presented)
    assert len(issued) == 1
    name, value = issued[0]
    token = value.decode().removeprefix("__Host-conversation=").split(";")[0]
    assert (name == b"set-cookie") == (put is in_cookie)
    assert TokenSigner(KEYS[:1], purpose="conversation").verify(token) == ("one", False)


def test_a_revocation_forgets_the_cookie() -> None:
    assert TOKENS.revoke() == [COOKIE.revoke()]


def test_the_answer_varies_by_every_place() -> None:
    assert TOKENS.vary == (b"vary", b"X-Conversation-ID, Cookie")


def test_what_a_client_presents_is_not_shown() -> None:
    assert ONE not in repr(TOKENS.read([in_cookie(ONE)]))
