"""The id that a request may use, and the headers that hand an id to the client."""

from collections.abc import Sequence
from typing import Final, cast

from jv_session_mw.ids import TokenSigner
from jv_session_mw.resolvers import Header, Resolver

# Pairs, which a server may give as tuples or as lists. Source: ASGI specification, HTTP, "headers".
RawHeaders = Sequence[Sequence[bytes]]


class Presented:
    """The verified id of a request, the resolver it came *by*, and whether its token is *stale*.

    All is empty when the request had no token that verifies.
    """

    __slots__ = ("by", "id", "stale", "token")

    def __init__(
        self,
        id: str | None = None,
        token: str = "",
        by: Resolver | None = None,
        *,
        stale: bool = False,
    ) -> None:
        self.id = id
        self.token = token
        self.by = by
        self.stale = stale


NOTHING: Final = Presented()


class Tokens:
    """The resolvers in their order, and the signer that all of them share.

    The first resolver with a token that verifies wins. Two different valid tokens in one place
    count as none: nobody can tell which one is meant, so a new conversation begins.
    """

    def __init__(self, signer: TokenSigner, resolvers: Sequence[Resolver]) -> None:
        self._signer = signer
        self._resolvers = [(resolver.vary.lower(), resolver) for resolver in resolvers]
        self.vary = (b"vary", b", ".join(resolver.vary for resolver in resolvers))

    def read(self, headers: RawHeaders) -> Presented:
        """Return the first token that verifies. Nothing that a client sends makes this raise."""
        by_name = dict(cast("Sequence[tuple[bytes, bytes]]", headers))
        # Servers send each header once and in lower case, but ASGI does not require it.
        usual = len(by_name) == len(headers) and b"".join(by_name).islower()
        for carrier, resolver in self._resolvers:
            if usual and carrier not in by_name:
                continue
            values = [by_name[carrier]] if usual else _values_of(carrier, headers)
            found = NOTHING
            for token in resolver.candidates(values):
                identity = self._signer.verify(token)
                if identity is None:
                    continue
                if found is not NOTHING and found.id != identity.id:
                    return NOTHING
                found = Presented(identity.id, token, resolver, stale=identity.stale)
            if found is not NOTHING:
                return found
        return NOTHING

    def issue(self, id: str, presented: Presented) -> list[tuple[bytes, bytes]]:
        """Return the headers from which the client learns *id*; none when it knows it.

        A new token goes out by every resolver, a re-signed one only by the resolver that it came
        by. A client that sends the header gets it back in every response.
        """
        if presented.id != id:
            token = self._signer.sign(id)
            return [resolver.issue(token) for _, resolver in self._resolvers]
        if presented.by is None:
            return []
        if presented.stale:
            return [presented.by.issue(self._signer.sign(id))]
        if isinstance(presented.by, Header):
            return [presented.by.issue(presented.token)]
        return []

    def revoke(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that make the client forget its token."""
        headers = (resolver.revoke() for _, resolver in self._resolvers)
        return [header for header in headers if header is not None]


def _values_of(carrier: bytes, headers: RawHeaders) -> list[bytes]:
    return [value for name, value in headers if name.lower() == carrier]
