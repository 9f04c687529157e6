"""`python -m examples.chat`, which is what `make demo` runs, as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from jv_session_mw.cli.processes import has_ended, poll_until
from tests.e2e.processes import descendants
from tests.servers import RedisServer

ROOT = Path(__file__).parents[2]
VARIABLES = (
    "REDIS_URL", "JV_SESSION_SECRET_KEYS", "OPENAI_BASE_URL", "OPENAI_API_KEY", "SUPABASE_URL",
)  # fmt: skip
LONG = "word " * 600  # twenty seconds and more of an answer, longer than it may take to end
WITHOUT_SUPABASE = """
import sys
sys.modules["supabase"] = sys.modules["postgrest"] = None
from examples.chat.app import create_app
create_app(redis_url="redis://127.0.0.1:1", secret_keys=["key"])
"""
ENDS = pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "PORT": "0", **changes}


@contextmanager
def demo(**changes: str) -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """Run the command; give its process, its first line and the address in it."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.chat"],
        cwd=ROOT,
        env=environment(changes),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found is not None, line
            yield process, line, found[0]
        finally:
            process.kill()


def run(**changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command where it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "examples.chat"],
        cwd=ROOT,
        env=environment(changes),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@ENDS
def test_a_signal_ends_it_and_every_process_that_it_started(end: signal.Signals) -> None:
    with demo() as (process, line, url):
        assert "Valkey" in line
        assert httpx.get(url).status_code == 200
        started = descendants(process.pid)
        assert len(started) >= 2  # the server and its guard
        process.send_signal(end)
        assert process.wait(timeout=10) == 0
        assert poll_until(lambda: all(map(has_ended, started)), seconds=5)


def test_ctrl_c_in_the_middle_of_an_answer_ends_it_too() -> None:
    with demo() as (process, _, url):
        started = descendants(process.pid)
        with httpx.stream("POST", f"{url}/chat", json={"prompt": LONG}) as response:
            words = response.iter_text()
            assert next(words)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        assert poll_until(lambda: all(map(has_ended, started)), seconds=5)


@ENDS
def test_what_was_said_before_a_signal_cut_it_off_is_kept(
    end: signal.Signals, valkey: RedisServer
) -> None:
    shared = {"REDIS_URL": valkey.url, "JV_SESSION_SECRET_KEYS": "shared by both"}
    with httpx.Client(timeout=10) as client:
        with (
            demo(**shared) as (process, _, url),
            client.stream("POST", f"{url}/chat", json={"prompt": LONG}) as response,
        ):
            words = response.iter_text()
            assert next(words)
            process.send_signal(end)
            assert process.wait(timeout=10) == 0
        with demo(**shared) as (_, _, url):
            _, answer = client.get(f"{url}/conversation").json()["messages"]
    assert answer["content"].startswith("You said: word word")
    assert answer["interrupted"] is True


def test_it_uses_the_server_that_the_environment_names(valkey: RedisServer) -> None:
    with demo(REDIS_URL=valkey.url) as (process, _, url):
        assert descendants(process.pid) == []
        assert httpx.post(f"{url}/chat", json={"prompt": "hello"}).status_code == 200
        assert valkey.ask("DBSIZE") == ":2"


def test_a_conversation_goes_on_in_another_process_with_the_same_key(valkey: RedisServer) -> None:
    shared = {"REDIS_URL": valkey.url, "JV_SESSION_SECRET_KEYS": "shared by both"}
    with httpx.Client(timeout=10) as client:
        with demo(**shared) as (_, _, url):
            client.post(f"{url}/chat", json={"prompt": "remember me"})
        with demo(**shared) as (_, _, url):
            answer = client.post(f"{url}/chat", json={"prompt": "who am I?"}).text
    assert "the first was: remember me" in answer


def test_a_taken_port_is_one_line_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(PORT=port)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {port}" in done.stderr
    assert "PORT=8001 make demo" in done.stderr


def test_a_bad_setting_ends_it_with_its_name() -> None:
    done = run(REDIS_URL="http://127.0.0.1")
    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr


def test_no_usable_key_ends_it_with_the_name_of_the_variable() -> None:
    done = run(JV_SESSION_SECRET_KEYS=",")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "JV_SESSION_SECRET_KEYS" in done.stderr


def test_it_needs_no_more_than_its_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SUPABASE],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
