"""Clients of the tracked chat, each of one user, and what the tracker has of them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from jv_session_mw import (
    ConversationStore,
    MemoryConversationStore,
)
from jv_session_mw.tracking import (
    ENDED,
    LIVE,
    ChatSession,
    SessionTracker,
    TrackPolicy,
)
from tests.promises.clients import Ticket
from tests.tracking.apps import tracked

ALICE = "alice"


class Chat:
    """A client of one user, whose conversation goes on by its token."""

    def __init__(self, client: httpx.AsyncClient, owner: str | None = ALICE) -> None:
        self.ticket = Ticket()
        self._headers = {} if owner is None else {"x-owner": owner}
        self._client = client

    async def post(self, path: str, method: str = "POST") -> httpx.Response:
        headers = {**self._headers, **self.ticket.headers}
        answer = await self._client.request(method, path, headers=headers)
        self._client.cookies.clear()  # its jar is for all of them
        self.ticket.learn(answer.headers.multi_items())
        return answer

    async def say(self, text: str = "hello") -> str:
        answer = await self.post(f"/say?text={text}")
        assert answer.status_code == 200, answer.text
        found: str = answer.json()
        return found


@asynccontextmanager
async def chatting(
    tracker: SessionTracker,
    store: ConversationStore | None = None,
    track: TrackPolicy | None = None,
) -> AsyncGenerator[httpx.AsyncClient]:
    async with store or MemoryConversationStore() as opened:
        app = tracked(tracker, opened, track)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
            yield client


async def only(tracker: SessionTracker, owner: str | None = ALICE) -> ChatSession:
    (session,) = (await tracker.list(owner=owner, status=LIVE | ENDED)).sessions
    return session


async def none(tracker: SessionTracker, owner: str | None = ALICE) -> bool:
    return not (await tracker.list(owner=owner, status=LIVE | ENDED)).sessions
