"""The example of the README, as a reader runs it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jv_session_mw import RedisConversationStore
from jv_session_mw.cli.processes import GuardedProcess, poll_until
from jv_session_mw.cli.server import free_port
from tests.servers import RedisServer

ROOT = Path(__file__).parent.parent


@pytest.fixture
def quickstart(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """The example of the README under a real uvicorn, started as the README says; its address."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("JV_SESSION_SECRET_KEYS", "a key for this test only")
    monkeypatch.chdir(ROOT)
    port, log = free_port(), tmp_path / "uvicorn.log"
    uvicorn = Path(sys.executable).with_name("uvicorn")
    server = GuardedProcess([uvicorn, "examples.quickstart:app", "--port", str(port)], log)
    try:
        started = poll_until(lambda: log.exists() and "running on" in log.read_text(), seconds=30)
        assert started, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.end()


async def test_what_was_streamed_is_there_on_the_next_turn(
    quickstart: str, valkey: RedisServer
) -> None:
    async with httpx.AsyncClient(base_url=quickstart) as client:
        first = await client.post("/chat", params={"prompt": "hello"})
        token = {"X-Conversation-ID": first.headers["X-Conversation-ID"]}
        second = await client.post("/chat", params={"prompt": "again"}, headers=token)
    assert (first.text, second.text) == ("You said: hello", "You said: again")
    async with RedisConversationStore(url=valkey.url) as store:
        (id,) = await store.keys()
        assert await store.get(id) == {
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "You said: hello"},
                {"role": "user", "content": "again"},
                {"role": "assistant", "content": "You said: again"},
            ]
        }
