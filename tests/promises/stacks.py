"""The places in a stack where the middleware may stand."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from jv_session_mw import ConversationMiddleware, ConversationStore
from tests.promises.apps import KEYS, chat
from tests.promises.clients import AsyncVisitor, Way

Next = Callable[[Request], Awaitable[Response]]


def visiting(app: ASGIApp, way: Way = "cookie", path: str = "") -> AsyncVisitor:
    """Return a client of *app*, under *path*, without a server in between."""
    transport = httpx.ASGITransport(app)
    client = httpx.AsyncClient(transport=transport, base_url=f"https://testserver{path}")
    return AsyncVisitor(client, way)


def ours(app: ASGIApp, store: ConversationStore, **options: Any) -> ConversationMiddleware:
    return ConversationMiddleware(app, store=store, secret_keys=KEYS, **options)


async def see_request(request: Request, call_next: Next) -> Response:
    response = await call_next(request)
    response.headers["X-Seen"] = "yes"
    return response


def outermost(store: ConversationStore) -> ASGIApp:
    return ours(chat(), store)


def added(store: ConversationStore) -> ASGIApp:
    app = chat()
    app.add_middleware(ConversationMiddleware, store=store, secret_keys=KEYS)
    return app


def in_a_mount(store: ConversationStore) -> ASGIApp:
    return Starlette(routes=[Mount("/api", ours(chat(), store))])


def around_a_mount(store: ConversationStore) -> ASGIApp:
    return ours(Starlette(routes=[Mount("/api", chat())]), store)


def of_a_mounted_app(store: ConversationStore) -> ASGIApp:
    app = FastAPI()
    app.mount("/api", added(store))
    return app


def twice(store: ConversationStore) -> ASGIApp:
    return ours(added(store), store)


def inside_base_http(store: ConversationStore) -> ASGIApp:
    return BaseHTTPMiddleware(ours(chat(), store), see_request)


def outside_base_http(store: ConversationStore) -> ASGIApp:
    return ours(BaseHTTPMiddleware(chat(), see_request), store)


def inside_gzip(store: ConversationStore) -> ASGIApp:
    return GZipMiddleware(ours(chat(), store), minimum_size=1)


def outside_gzip(store: ConversationStore) -> ASGIApp:
    return ours(GZipMiddleware(chat(), minimum_size=1), store)


STACKS: dict[str, tuple[Callable[[ConversationStore], ASGIApp], str]] = {
    "outermost": (outermost, ""),
    "added": (added, ""),
    "in a mount": (in_a_mount, "/api"),
    "around a mount": (around_a_mount, "/api"),
    "of a mounted app": (of_a_mounted_app, "/api"),
    "twice": (twice, ""),
    "inside BaseHTTPMiddleware": (inside_base_http, ""),
    "outside BaseHTTPMiddleware": (outside_base_http, ""),
    "inside GZipMiddleware": (inside_gzip, ""),
    "outside GZipMiddleware": (outside_gzip, ""),
}
