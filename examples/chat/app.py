"""A chat backend on FastAPI: one middleware, and every handler has its conversation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import Body, FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from opentelemetry.sdk.trace import TracerProvider

from examples.chat.agent import Chat, ChatAgent
from examples.chat.model import Model, model_from_env
from examples.chat.sessions import add_sessions, tracker_from_env
from examples.chat.spans import RecentSpans, SpanNode, current_trace_id
from examples.chat.visitors import visitor, welcome
from jv_session_integrations.fastapi import CurrentConversation
from jv_session_mw import ConversationMiddleware, Message, create_conversation_store
from jv_session_mw.tracking import SessionTracker, TrackPolicy

PAGE = Path(__file__).with_name("page.html")

Prompt = Annotated[str, Body(embed=True, min_length=1, max_length=4000)]


@dataclass
class Panel:
    """What the page shows beside the chat. Version 0 means that nothing is stored yet."""

    version: int
    ttl_seconds: float | None
    degraded: bool
    fields: dict[str, object]
    messages: list[Message]
    spans: SpanNode | None


def create_app(
    *,
    redis_url: str | None = None,
    secret_keys: Sequence[str] | None = None,
    model: Model | None = None,
    tracker: SessionTracker | None = None,
) -> FastAPI:
    """Return the chat. What is not given comes from the environment."""
    spans = RecentSpans()
    provider = TracerProvider()
    provider.add_span_processor(spans)
    options = {"url": redis_url} if redis_url else {}
    store = create_conversation_store(state_type=Chat, tracer_provider=provider, **options)
    tracker = tracker or tracker_from_env()
    agent = ChatAgent(model or model_from_env(), store, provider.get_tracer(__name__))

    app = FastAPI(title="Chat", telemetry={"tracer_provider": provider, "operation_spans": False})
    app.add_middleware(
        ConversationMiddleware,
        store=store,
        secret_keys=secret_keys,
        secure=False,  # plain http on this machine; leave it out where there is HTTPS
        exclude=["/health", "/new"],
        owner=visitor,
        tracker=tracker,
        track=TrackPolicy(on_delete="delete", snapshot=True),
    )
    add_sessions(app, tracker, store)

    @app.post("/chat")
    async def chat(prompt: Prompt, conversation: CurrentConversation[Chat]) -> StreamingResponse:
        """Answer, token by token."""
        state = conversation.state
        state.title = state.title or prompt[:60]
        state.turns += 1
        state.trace = current_trace_id()
        conversation.messages.append({"role": "user", "content": prompt})
        return StreamingResponse(agent.answer(conversation), media_type="text/plain")

    @app.get("/conversation")
    async def panel(conversation: CurrentConversation[Chat]) -> Panel:
        """Show what is stored of this conversation, and the trace of its last turn."""
        return Panel(
            version=conversation.version,
            ttl_seconds=conversation.ttl,
            degraded=conversation.degraded,
            fields=asdict(conversation.state),
            messages=conversation.messages,
            spans=spans.tree(conversation.state.trace),
        )

    @app.post("/new", status_code=204)
    async def new() -> Response:
        """Leave the conversation. It stays until its TTL; `delete()` would end it now."""
        response = Response(status_code=204)
        response.delete_cookie("conversation", httponly=True, samesite="lax")
        return response

    @app.get("/health")
    async def health() -> dict[str, object]:
        """Say how the store is; 200 in any case, as the chat goes on without it."""
        return msgspec.structs.asdict(await agent.get_store_health())

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return welcome(request, FileResponse(PAGE))

    return app
