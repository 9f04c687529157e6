"""What of the chat needs no browser: health, and a real endpoint in place of the tour."""

import json
from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from examples.chat.app import create_app
from examples.chat.model import TourModel, model_from_env
from examples.chat.visitors import visitor
from tests.e2e.conftest import serve
from tests.gateway import Gateway, key_of
from tests.servers import RedisServer

KEYS = ["only for this test"]


async def complete(request: Request) -> StreamingResponse:
    """Answer as OpenAI's chat completions do: say what was asked, in one chunk per word."""
    asked = await request.json()
    heard = " | ".join(message["content"] for message in asked["messages"])
    said = f"{asked['model']} heard {heard}"

    async def chunks() -> AsyncGenerator[str]:
        for word in said.split():
            choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
            yield f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def test_an_endpoint_in_the_environment_answers_with_the_whole_history(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    async with serve(endpoint) as openai_url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_MODEL", "parrot")
        app = create_app(redis_url=valkey.url, secret_keys=KEYS)
        async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
            first = await client.post("/chat", json={"prompt": "one"})
            second = await client.post("/chat", json={"prompt": "two"})
    assert first.text.strip() == "parrot heard one"
    assert second.text.strip() == "parrot heard one | parrot heard one | two"


@pytest.mark.parametrize(
    "foreign",
    ["theme=dark", 'prefs={"a": 1}', "a@b=1", "a,b=1", 'x="\\042', "=", "é=1", "visitors=0"],
)
def test_the_cookies_of_other_apps_do_not_change_who_a_visitor_is(foreign: str) -> None:
    ours = "visitor=ada"
    for header in (f"{foreign}; {ours}", f"{ours}; {foreign}", f"{ours};{foreign}"):
        assert visitor({"headers": [(b"cookie", header.encode())]}) == "ada"
    assert visitor({"headers": [(b"cookie", foreign.encode())]}) is None


def test_the_tour_answers_unless_both_variables_are_set() -> None:
    assert isinstance(model_from_env({"OPENAI_API_KEY": "key"}), TourModel)
    assert isinstance(model_from_env({"OPENAI_BASE_URL": "http://127.0.0.1"}), TourModel)


async def test_sessions_are_in_the_project_that_the_environment_names(
    valkey: RedisServer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", gateway.url)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", key_of("service_role"))
    async with httpx.AsyncClient() as client:
        for prompt in ("one", "two"):  # the second one by an app that was started anew
            app = create_app(redis_url=valkey.url, secret_keys=KEYS, model=TourModel(0.0))
            async with serve(app) as url:
                await client.get(url)
                await client.post(f"{url}/chat", json={"prompt": prompt})
                (session,) = (await client.get(f"{url}/sessions")).json()["sessions"]
        assert (session["title"], session["messages"], session["current"]) == ("one", 4, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/sessions/none/resume", 404),
        ("DELETE", "/sessions/none", 404),
        ("PATCH", "/sessions/none", 404),
        ("GET", "/sessions?cursor=nonsense", 422),
    ],
)
async def test_what_the_sidebar_cannot_do_is_said_with_a_status(
    valkey: RedisServer, method: str, path: str, status: int
) -> None:
    app = create_app(redis_url=valkey.url, secret_keys=KEYS)
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        await client.get("/")
        body = {"title": "x"} if method == "PATCH" else None
        answer = await client.request(method, path, json=body)
        assert answer.status_code == status, answer.text


async def test_health_is_that_of_the_store(own_valkey: RedisServer) -> None:
    app = create_app(redis_url=own_valkey.url, secret_keys=KEYS)
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        before = (await client.get("/health")).json()
        own_valkey.kill()
        after = (await client.get("/health")).json()
    assert (before["connected"], before["using_fallback"]) == (True, False)
    assert (after["connected"], after["using_fallback"]) == (False, True)
    assert before["latency_ms"] > 0
    assert after["last_error"]
