"""What every contender is asked to do, on a session that is a dict, and how it answers."""

from collections.abc import MutableMapping
from typing import Any, TypeAlias

from starlette.types import Receive, Scope, Send

Session: TypeAlias = MutableMapping[str, Any]

TEXT = "x" * 265  # makes a message of 300 bytes
CHUNKS = 1_000


def message(role: str) -> dict[str, str]:
    return {"role": role, "content": TEXT}


def seed(count: int) -> dict[str, Any]:
    """Return what a conversation of *count* messages holds."""
    return {"topic": "flights", "step": 0, "messages": [message("user") for _ in range(count)]}


def on_dict(session: Session, path: str) -> bytes:
    """Do what *path* asks for, and return the body of the answer."""
    if path.startswith("/seed/"):
        session.update(seed(int(path.removeprefix("/seed/"))))
        return b"{}"
    if path == "/turn":
        # Assigned again, for those who do not see what is changed inside.
        session["messages"] = [*session["messages"], message("user"), message("assistant")]
        session["step"] = session["step"] + 1
        return b'{"ok":true}'
    if path == "/read":
        return b'{"messages":%d,"step":%d}' % (len(session["messages"]), session["step"])
    return b"{}"


async def answer(send: Send, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(send: Send) -> None:
    """Answer in a thousand chunks."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": b"token ", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The same application without any session."""
    if scope["path"] == "/stream":
        await stream(send)
    else:
        await answer(send, b'{"ok":true}')
