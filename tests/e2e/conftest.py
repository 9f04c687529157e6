"""A real browser, and the example's app under a real uvicorn, both in the test's event loop.

Playwright's synchronous interface would leave a running loop behind in this thread, in which no
other asynchronous test could start. Starting a browser takes a second, so that the tests of a
module share one, and the event loop with it; each has a window with a profile of its own.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from starlette.types import ASGIApp

from examples.chat.app import create_app
from tests.e2e.chat_page import ChatPage
from tests.e2e.held_model import HeldModel
from tests.servers import RedisServer, missing

CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("the browser chromium")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncGenerator[Browser]:
    """A headless Chromium with a profile of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=list(CHROMIUM_ARGS)
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def window(browser: Browser) -> AsyncGenerator[Page]:
    """A window that shares nothing with another test's. An error in a script fails the test."""
    errors: list[str] = []
    page = await browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await page.context.close()
    assert errors == []


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve *app* on a free port, and give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def model() -> HeldModel:
    return HeldModel()


@pytest_asyncio.fixture(loop_scope="module")
async def chat(own_valkey: RedisServer, model: HeldModel, window: Page) -> AsyncGenerator[ChatPage]:
    """The chat in a browser, before the first message, over a server of its own: `own_valkey`."""
    app = create_app(redis_url=own_valkey.url, secret_keys=["only for this test"], model=model)
    async with serve(app) as url:
        page = ChatPage(window, url)
        await page.open()
        yield page
        await window.goto("about:blank")  # hang up, so that the server need not wait
