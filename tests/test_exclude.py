"""Paths that the middleware leaves alone."""

import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from jv_session_mw import ConversationNotInstalled, MemoryConversationStore
from tests.promises.apps import chat
from tests.promises.raw import Exchange
from tests.promises.stacks import ours, visiting


@pytest.mark.parametrize(
    ("path", "excluded"),
    [
        ("/health", True),
        ("/health/ready", True),
        ("/static/a.css", True),
        ("/healthy", False),
        ("/api/health", False),
        ("/", False),
    ],
)
async def test_excluded_are_whole_segments_from_the_beginning_of_the_path(
    path: str, excluded: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        has_one = "conversation" in scope.get("state", {})
        await JSONResponse(has_one)(scope, receive, send)

    wrapped = ours(app, MemoryConversationStore(), exclude=("/health", "/static/"))
    for root in ("", "/health", "/v1"):  # as behind a proxy, or mounted
        exchange = Exchange(path=root + path)
        exchange.scope["root_path"] = root
        await exchange.run(wrapped)
        assert exchange.body == (b"false" if excluded else b"true"), root


async def test_an_excluded_path_says_why_there_is_no_conversation() -> None:
    visitor = visiting(ours(chat(), MemoryConversationStore(), exclude=["/read"]))
    with pytest.raises(ConversationNotInstalled, match="exclude"):
        await visitor.ask("GET", "/read")
