"""The answers that the middleware gives in place of the app, which show no secret."""

import logging
import math
from typing import cast

import msgspec
from starlette.types import Message, Scope, Send

from jv_session_mw.errors import (
    ConversationBusy,
    ConversationConflict,
    SessionError,
    StoreUnavailable,
    TurnLost,
    UnreadableConversation,
)

logger = logging.getLogger("jv_session_mw")

TRY_AGAIN_LATER = 1013  # WebSocket close codes: RFC 6455 and its IANA registry
INTERNAL_ERROR = 1011


def is_refusal(error: SessionError) -> bool:
    """Say whether the middleware answers *error* itself; any other is raised."""
    return isinstance(
        error,
        StoreUnavailable
        | ConversationBusy
        | ConversationConflict
        | TurnLost
        | UnreadableConversation,
    )


def refusal_in(error: BaseException) -> SessionError | None:
    """Return the error to tell the client of, else None; a group of one counts as that one."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return refusal_in(group.exceptions[0]) if len(group.exceptions) == 1 else None
    return error if isinstance(error, SessionError) and is_refusal(error) else None


async def refuse(error: SessionError, scope: Scope, send: Send) -> None:
    """Answer with 503 and `Retry-After`, 409, or 500, as problem details (RFC 9457)."""
    status, title, headers = _answer(error)
    if status == 500:
        logger.error("a conversation cannot be read: %s", error, exc_info=error)
    if scope["type"] == "websocket" and not can_deny(scope):
        await hang_up(error, send)
        return
    await _answer_with(status, title, headers, scope, send)


def can_deny(scope: Scope) -> bool:
    """Say whether the handshake of a WebSocket can be answered with an HTTP response."""
    return "websocket.http.response" in (scope.get("extensions") or ())


async def answer_for_app(scope: Scope, send: Send) -> None:
    """Answer with 500 in place of an app that has failed."""
    await _answer_with(500, "Internal Server Error", [], scope, send)


async def _answer_with(
    status: int, title: str, headers: list[tuple[bytes, bytes]], scope: Scope, send: Send
) -> None:
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = msgspec.json.encode({"title": title, "status": status})
    headers += [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    start: Message = {"type": f"{kind}.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": f"{kind}.body", "body": body})


async def hang_up(error: SessionError, send: Send) -> None:
    """Close a WebSocket with 1013 (try again later) or 1011, and say why."""
    _, title, headers = _answer(error)
    code = TRY_AGAIN_LATER if headers else INTERNAL_ERROR
    await send({"type": "websocket.close", "code": code, "reason": title})


def _answer(error: SessionError) -> tuple[int, str, list[tuple[bytes, bytes]]]:
    if isinstance(error, StoreUnavailable):
        seconds = str(max(1, math.ceil(error.retry_after))).encode()
        return 503, "The conversation store is away; try again soon.", [(b"retry-after", seconds)]
    if isinstance(error, ConversationBusy):
        return 409, "Another turn is under way here; try again soon.", [(b"retry-after", b"1")]
    if isinstance(error, ConversationConflict | TurnLost):
        return 409, "Another request changed this conversation; reload it and try again.", []
    return 500, "This conversation cannot be read.", []
