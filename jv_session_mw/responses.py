"""What the ASGI messages of a response say about it. Source: ASGI specification, HTTP."""

from typing import Final

from starlette.types import Message

NO_BODY: Final = frozenset({204, 205, 304})
CONTENT_LENGTH: Final = b"content-length"


def readable(start: Message) -> Message:
    """Return *start* with headers that can be read more than once: an app may give any iterable.

    *start* opens a response, or accepts a WebSocket.
    """
    headers = start.get("headers", ())
    if isinstance(headers, (list, tuple)):
        return start
    return {**start, "headers": list(headers)}


def is_stream(start: Message) -> bool:
    """Say whether the response that begins with *start* has a body of unknown length."""
    if start["status"] in NO_BODY or start["status"] >= 300:
        return False
    for name, _ in start.get("headers", ()):
        if name.lower() == CONTENT_LENGTH:
            return False
    return True


def is_whole(start: Message, message: Message) -> bool:
    """Say whether *message* is all of the body that *start* has promised, whatever comes after it.

    A middleware that passes a response on, such as `BaseHTTPMiddleware`, ends it by an empty one.
    """
    size = str(len(message.get("body", b""))).encode()
    return any(
        name.lower() == CONTENT_LENGTH and value == size for name, value in start.get("headers", ())
    )


def is_last(message: Message, expects_trailers: bool) -> bool:
    """Say whether nothing comes after *message*, which is not the start of the response."""
    kind = message["type"]
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    if expects_trailers:
        return False
    if kind in ("http.response.body", "http.response.zerocopysend"):
        return not message.get("more_body", False)
    return bool(kind == "http.response.pathsend")
