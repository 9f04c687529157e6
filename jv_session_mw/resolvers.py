"""Where a request carries its token, and where the answer puts a new one."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from jv_session_mw.errors import ConfigurationError
from jv_session_mw.ids import MAX_TOKEN_LENGTH

MAX_COOKIE_BYTES = 16 * 1024
MAX_CANDIDATES = 8
REMEMBERED_HEADERS = REMEMBERED_BYTES = 1024

# RFC 9110 section 5.6.2: the name of a header or cookie is a token.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Resolver(Protocol):
    """One place in a request that may carry a token."""

    @property
    def name(self) -> str:
        """The name of the header or cookie; that of the first cookie salts the signatures."""
        ...

    @property
    def vary(self) -> bytes:
        """The name of the request header, for `Vary`."""
        ...

    def candidates(self, values: list[bytes]) -> Sequence[str]:
        """Return the distinct tokens in the values of that header; never raises."""
        ...

    def issue(self, token: str) -> tuple[bytes, bytes]:
        """Return the response header that hands *token* to the client."""
        ...

    def revoke(self) -> tuple[bytes, bytes] | None:
        """Return the response header that makes the client forget its token, None if none can."""
        ...

    def without_tls(self) -> "Resolver":
        """Return the resolver to use where there is no HTTPS."""
        ...


class Header:
    """A request header, for API clients; the response answers with the same one."""

    def __init__(self, name: str) -> None:
        self.name = _checked("header", name)
        self.vary = name.encode()
        self._raw = name.lower().encode()

    def candidates(self, values: list[bytes]) -> Sequence[str]:
        return _readable(values)

    def issue(self, token: str) -> tuple[bytes, bytes]:
        return self._raw, token.encode()

    def revoke(self) -> None:
        return None

    def without_tls(self) -> "Header":
        return self


class Cookie:
    """A cookie: `__Host-` prefix, Secure, HttpOnly, SameSite=Lax, Path=/, and no expiry.

    The store's TTL ends the conversation, so the cookie needs no date of its own and is set only
    once. Source: RFC 6265bis, sections 4.1.3 and 5.7.
    """

    vary = b"Cookie"

    def __init__(self, name: str, *, secure: bool = True) -> None:
        self.name = _checked("cookie", name)
        self._raw = f"__Host-{name}".encode() if secure else name.encode()
        self._attributes = b"; Path=/; HttpOnly; SameSite=Lax" + (b"; Secure" if secure else b"")
        self._remembered = lru_cache(REMEMBERED_HEADERS)(self._tokens_in)

    def candidates(self, values: list[bytes]) -> Sequence[str]:
        """Parse this one cookie in linear time, where the standard parser is quadratic.

        A Cookie header of more than 16 KiB is ignored.
        """
        header = b";".join(values)
        if len(header) <= REMEMBERED_BYTES:  # a client sends the same one with every turn
            return self._remembered(header)
        return self._tokens_in(header) if len(header) <= MAX_COOKIE_BYTES else ()

    def _tokens_in(self, header: bytes) -> Sequence[str]:
        found: list[bytes] = []
        for pair in header.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip() == self._raw:
                found.append(value.strip().strip(b'"'))
        return _readable(found)

    def issue(self, token: str) -> tuple[bytes, bytes]:
        return b"set-cookie", self._raw + b"=" + token.encode() + self._attributes

    def revoke(self) -> tuple[bytes, bytes]:
        return b"set-cookie", self._raw + b"=; Max-Age=0" + self._attributes

    def without_tls(self) -> "Cookie":
        return Cookie(self.name, secure=False)


def _readable(found: list[bytes]) -> Sequence[str]:
    if len(found) > MAX_CANDIDATES:
        return ()
    texts: list[str] = []
    for value in found:
        if value.isascii() and 0 < len(value) <= MAX_TOKEN_LENGTH:
            text = value.decode()
            if text not in texts:
                texts.append(text)
    return tuple(texts)


def _checked(kind: str, name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a {kind}: "
            "use letters, digits and hyphens, without spaces (RFC 9110, token)"
        )
    return name
