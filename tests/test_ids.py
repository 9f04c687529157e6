"""Mint, sign, verify: only what was signed here is an id."""

import base64
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from jv_session_mw.errors import ConfigurationError, UnsupportedValue
from jv_session_mw.ids import (
    CLOCK_SKEW_SECONDS,
    MAX_ID_LENGTH,
    MAX_TOKEN_LENGTH,
    TokenSigner,
    mint,
)

KEY, OLD_KEY, OTHER_KEY = "k" * 32, "o" * 32, "x" * 32
SIGNER = TokenSigner([KEY], purpose="conversation")
TOKEN = SIGNER.sign("some-id")


def shifted(seconds: float) -> Callable[[], float]:
    """Return a clock that is *seconds* ahead of the one that signs."""
    return lambda: time.time() + seconds


def test_an_id_has_128_random_bits_in_url_safe_letters() -> None:
    minted = {mint() for _ in range(2_000)}
    assert len(minted) == 2_000
    assert {len(base64.urlsafe_b64decode(id + "==")) for id in minted} == {16}


def test_what_was_signed_verifies() -> None:
    for _ in range(50):
        id = mint()
        identity = SIGNER.verify(SIGNER.sign(id))
        assert identity == (id, False)


@pytest.mark.parametrize("id", ["a.b.c", "..", "a b", "-_", ""])
def test_an_id_with_dots_verifies(id: str) -> None:
    identity = SIGNER.verify(SIGNER.sign(id))
    assert identity is not None
    assert identity.id == id


@given(st.text(max_size=40))
@example("a; Domain=evil.example")
@example("a\r\nSet-Cookie: b=c")
@example("Gr\u00f6\u00dfe")
@example("\ud800")
@example("%25")
def test_a_header_and_a_cookie_can_hold_the_token_of_any_id(id: str) -> None:
    token = SIGNER.sign(id)
    assert re.fullmatch(r"[\w.~%-]+", token, re.ASCII)
    assert SIGNER.verify(token) == (id, False)


def test_the_token_of_the_longest_id_verifies_and_a_longer_one_is_refused() -> None:
    longest = "a" * MAX_ID_LENGTH
    assert SIGNER.verify(SIGNER.sign(longest)) == (longest, False)
    with pytest.raises(UnsupportedValue, match="too long"):
        SIGNER.sign(longest + "a")


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_a_token_with_another_letter_is_never_another_id(at: int, letter: str) -> None:
    identity = SIGNER.verify(TOKEN[:at] + letter + TOKEN[at + 1 :])
    assert identity is None or identity.id == "some-id"


@pytest.mark.parametrize("at", range(TOKEN.rindex(".")))
def test_a_token_with_another_id_or_time_is_a_miss(at: int) -> None:
    letter = "A" if TOKEN[at] != "A" else "B"
    assert SIGNER.verify(TOKEN[:at] + letter + TOKEN[at + 1 :]) is None


@pytest.mark.parametrize("length", range(len(TOKEN)))
def test_a_token_that_is_cut_short_is_a_miss(length: int) -> None:
    assert SIGNER.verify(TOKEN[:length]) is None


@given(st.text(st.characters(), max_size=600))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    assert SIGNER.verify(text) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "some-id",
        "some-id..",
        TOKEN + "\n",
        TOKEN + "é",
        "é" + TOKEN,
        TOKEN + "\ud800",
        TOKEN + "\0",
        "a" * (MAX_TOKEN_LENGTH + 1),
        "." * MAX_TOKEN_LENGTH,
        "a" * 10_000_000,
        TOKEN.replace(".", "\u2024"),
    ],
)
def test_what_is_no_token_is_a_miss(token: str) -> None:
    assert SIGNER.verify(token) is None


def test_a_token_of_another_purpose_is_a_miss() -> None:
    assert TokenSigner([KEY], purpose="other").verify(TOKEN) is None


def test_a_token_of_another_key_is_a_miss() -> None:
    assert TokenSigner([OTHER_KEY], purpose="conversation").verify(TOKEN) is None


def test_the_newest_key_signs_and_every_key_verifies() -> None:
    rotated = TokenSigner([KEY, OLD_KEY], purpose="conversation")
    old = TokenSigner([OLD_KEY], purpose="conversation").sign("id")
    assert rotated.verify(old) == ("id", True)
    assert rotated.verify(TOKEN) == ("some-id", False)
    assert SIGNER.verify(rotated.sign("new")) == ("new", False)


def test_the_order_of_the_keys_decides_which_is_newest() -> None:
    assert TokenSigner([OLD_KEY, KEY], purpose="conversation").verify(TOKEN) == ("some-id", True)


def test_a_retired_key_verifies_nothing() -> None:
    old = TokenSigner([OLD_KEY], purpose="conversation").sign("id")
    assert TokenSigner([KEY, OTHER_KEY], purpose="conversation").verify(old) is None


@pytest.mark.parametrize("ahead", [0, CLOCK_SKEW_SECONDS - 10])
def test_a_token_from_a_clock_that_is_a_little_ahead_verifies(ahead: int) -> None:
    behind = TokenSigner([KEY], purpose="conversation", clock=shifted(-ahead))
    assert behind.verify(SIGNER.sign("id")) == ("id", False)


def test_a_token_from_the_future_is_a_miss() -> None:
    behind = TokenSigner([KEY], purpose="conversation", clock=shifted(-CLOCK_SKEW_SECONDS - 10))
    assert behind.verify(SIGNER.sign("id")) is None


@pytest.mark.parametrize("moment", [2**38, 2**62])
def test_a_token_from_beyond_the_calendar_is_a_miss(
    monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    def get_timestamp(_: TimestampSigner) -> int:
        return moment

    monkeypatch.setattr(TimestampSigner, "get_timestamp", get_timestamp)
    assert SIGNER.verify(SIGNER.sign("id")) is None


@pytest.mark.parametrize(("age", "valid"), [(0, True), (1_050, True), (1_070, False)])
def test_a_token_past_its_age_is_a_miss(age: int, valid: bool) -> None:
    later = TokenSigner([KEY], purpose="conversation", max_age=1_000, clock=shifted(age))
    assert (later.verify(SIGNER.sign("id")) is not None) == valid


def test_without_an_age_a_token_stays_valid() -> None:
    later = TokenSigner([KEY], purpose="conversation", clock=shifted(10 * 365 * 86_400))
    assert later.verify(SIGNER.sign("id")) == ("id", False)


@pytest.mark.parametrize("keys", [[], [""], [KEY, ""], ()])
def test_a_missing_key_is_named_with_its_variable(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="JV_SESSION_SECRET_KEYS") as refused:
        TokenSigner(keys, purpose="conversation")
    assert "new-key" in str(refused.value)


def test_no_key_is_shown() -> None:
    assert KEY not in TOKEN + repr(SIGNER) + str(SIGNER)
