"""Who the visitor is, by a cookie that cannot be guessed; here your login goes."""

import secrets

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Scope

VISITOR = "visitor"


def visitor(scope: Scope) -> str | None:
    """Return who the visitor is, or None for a new one."""
    header = b";".join(value for name, value in scope["headers"] if name == b"cookie")
    for pair in header.decode("latin-1").split(";"):  # those of other apps may hold anything
        name, _, value = pair.strip().partition("=")
        if name == VISITOR:
            return value or None
    return None


def welcome(request: Request, response: Response) -> Response:
    """Give the browser a visitor's cookie unless it has one."""
    if visitor(request.scope) is None:
        response.set_cookie(
            VISITOR, secrets.token_urlsafe(16), max_age=31_536_000, httponly=True, samesite="lax"
        )
    return response
