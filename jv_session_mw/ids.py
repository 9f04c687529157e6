"""Mint, sign, verify: the id names a conversation inside, the token is what a client holds."""

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from itsdangerous import BadData, TimestampSigner

from jv_session_mw.errors import ConfigurationError, UnsupportedValue

CLOCK_SKEW_SECONDS: Final = 60
MAX_TOKEN_LENGTH: Final = 512
MAX_ID_LENGTH: Final = MAX_TOKEN_LENGTH - 60  # which the time and the signature need
REMEMBERED_TOKENS: Final = 4096


class Identity(NamedTuple):
    """A verified id; it is `stale` when an older key than the newest signed its token."""

    id: str
    stale: bool


def mint() -> str:
    """Return a new id of 128 random bits, in 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


def in_token(id: str) -> str:
    """Return *id* as it stands in a token: in letters that a header and a cookie can hold.

    One that was minted stands there as it is. Raises `UnsupportedValue` for one that is too long.
    """
    text = quote(id.encode("utf-8", "surrogatepass"), safe="")
    if len(text) > MAX_ID_LENGTH:
        raise UnsupportedValue("the id", "it is too long for a token")
    return text


class TokenSigner:
    """Signs ids with the newest key and accepts those of every key (HMAC-SHA256).

    *purpose* goes into the salt, so that a token of another cookie, or of another use of the same
    key, never verifies. A token is refused when it is older than *max_age* seconds (None: the
    store alone decides) or when it comes from further in the future than two clocks may differ.

    Signatures that verified lately are remembered, since a client sends the same token with every
    turn; the age is checked each time.
    """

    __slots__ = ("_clock", "_newest", "_oldest", "_rotates", "_signer", "_unsign")

    def __init__(
        self,
        keys: Sequence[str],
        *,
        purpose: str,
        max_age: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not keys or not all(keys):
            raise ConfigurationError(
                "no secret key: set JV_SESSION_SECRET_KEYS or pass secret_keys=, newest first; "
                "`jv-session-mw new-key` prints one"
            )
        oldest_first = list(reversed(keys))
        salt = f"jv_session_mw.token.{purpose}"
        self._signer = _signer(oldest_first, salt)
        self._newest = _signer(oldest_first[-1:], salt)
        self._rotates = len(keys) > 1
        self._oldest = math.inf if max_age is None else max_age + CLOCK_SKEW_SECONDS
        self._clock = clock
        self._unsign = lru_cache(REMEMBERED_TOKENS)(self._unsigned)

    def sign(self, id: str) -> str:
        return self._newest.sign(in_token(id)).decode()

    def verify(self, token: str) -> Identity | None:
        """Return the id of *token*, or None: whatever was not issued here is a miss."""
        try:
            identity, issued = self._unsign(token)
        except (BadData, ValueError, OverflowError, OSError):  # or its time is past all dates
            return None
        age = self._clock() - issued
        return identity if -CLOCK_SKEW_SECONDS <= age <= self._oldest else None

    def _unsigned(self, token: str) -> tuple[Identity, float]:
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise BadData("too long, or not ASCII: it was not issued here")
        id, issued = self._signer.unsign(token, return_timestamp=True)
        stale = self._rotates and not self._newest.validate(token)
        return Identity(unquote(id.decode(), errors="surrogatepass"), stale), issued.timestamp()


def _signer(keys: list[str], salt: str) -> TimestampSigner:
    return TimestampSigner(keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
