"""The sidebar: the sessions of a visitor, to be listed, found, renamed, resumed and deleted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from jv_session_integrations.fastapi import CurrentConversation
from jv_session_mw import Conversation, ConversationGone, ConversationStore, UnsupportedValue
from jv_session_mw.tracking import (
    ChatSession,
    InvalidTransition,
    MemorySessionTracker,
    SessionNotFound,
    SessionTracker,
    TrackingError,
)

STATUSES: dict[type[Exception], int] = {
    SessionNotFound: 404,
    ConversationGone: 404,
    InvalidTransition: 409,
    UnsupportedValue: 422,
    TrackingError: 503,
}


@dataclass
class Listed:
    """One line of the sidebar."""

    id: str
    title: str
    messages: int
    last_activity_at: datetime
    current: bool


@dataclass
class Listing:
    """A page of the sidebar; `cursor` asks for the next one."""

    sessions: list[Listed]
    cursor: str | None


def tracker_from_env(environ: Mapping[str, str] = os.environ) -> SessionTracker:
    """Return the tracker of the project that `SUPABASE_URL` names, or one in memory."""
    if not environ.get("SUPABASE_URL"):
        return MemorySessionTracker()
    from jv_session_mw.tracking import SupabaseSessionTracker  # which needs the extra `supabase`

    return SupabaseSessionTracker()


def add_sessions(app: FastAPI, tracker: SessionTracker, store: ConversationStore[Any]) -> None:
    """Let *app* answer for the sidebar."""
    router = APIRouter(prefix="/sessions")

    @router.get("")
    async def listing(request: Request, search: str = "", cursor: str | None = None) -> Listing:
        # Not by the dependency: a handler that takes a conversation and has not looked at it may
        # still change it in the background, so its client would get a token.
        conversation: Conversation[Any] = request.state.conversation
        owner = conversation.owner
        if owner is None:
            return Listing([], None)
        page = await tracker.list(owner=owner, search=search, limit=20, cursor=cursor)
        current = conversation.id if conversation.version else None
        return Listing([listed(session, current) for session in page.sessions], page.cursor)

    @router.patch("/{id}", status_code=204)
    async def rename(
        conversation: CurrentConversation, id: str, title: Annotated[str, Body(embed=True)]
    ) -> None:
        await tracker.rename(id, title.strip(), owner=conversation.owner)

    @router.post("/{id}/resume", status_code=204)
    async def resume(conversation: CurrentConversation, id: str) -> None:
        await conversation.resume(id)

    @router.delete("/{id}", status_code=204)
    async def delete(conversation: CurrentConversation, id: str) -> None:
        if conversation.version and conversation.id == id:
            await conversation.delete()  # its session and its cookie go with it
            return
        await tracker.get(id, owner=conversation.owner)
        await store.delete(id, owner=conversation.owner)
        await tracker.delete(id, owner=conversation.owner)

    app.include_router(router)
    for kind in STATUSES:
        app.add_exception_handler(kind, refuse)


async def refuse(_: Request, error: Exception) -> Response:
    """Answer for what a tracker or a resume raises; the message is safe to show."""
    status = next(code for kind, code in STATUSES.items() if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status)


def listed(session: ChatSession, current: str | None) -> Listed:
    return Listed(
        id=session.id,
        title=session.title or "Untitled",
        messages=session.message_count,
        last_activity_at=session.last_activity_at,
        current=session.id == current,
    )
