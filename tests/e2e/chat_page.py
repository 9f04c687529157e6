"""The chat's page as a person sees it: by role and name, never by the structure behind."""

import re

from playwright.async_api import Locator, Page, expect

MINUTES = re.compile(r"\d+:\d\d")


class ChatPage:
    """One browser window with the chat in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.panel = page.get_by_role("complementary", name="What is stored")
        self.spans = self.panel.locator("#spans")
        self.degraded = page.get_by_text("degraded", exact=True)
        self.send = page.get_by_role("button", name="Send")
        self.stop = page.get_by_role("button", name="Stop")
        self.sessions = page.get_by_role("navigation", name="Sessions")
        self._log = page.get_by_role("log", name="Conversation")

    async def open(self) -> None:
        await self.page.goto(self.url)
        await self.is_ready()

    async def reload(self) -> None:
        await self.page.reload()
        await self.is_ready()

    async def is_ready(self) -> None:
        """Wait until the page has shown what is stored."""
        await expect(self.stored("Store")).not_to_be_empty()

    async def say(self, prompt: str) -> None:
        """Send a message, and leave the answer on its way."""
        await self.page.get_by_role("textbox", name="Message").fill(prompt)
        await self.send.click()

    async def ask(self, prompt: str) -> None:
        """Send a message, and wait for the end of the answer."""
        await self.say(prompt)
        await self.turn_ends()

    async def turn_ends(self) -> None:
        await expect(self.send).to_be_visible()

    async def begin_anew(self) -> None:
        async with self.page.expect_event("load"):
            await self.page.get_by_role("button", name="New conversation").click()
        await self.is_ready()

    def messages(self, of: str = "") -> Locator:
        """Return the messages of "You" or of the "Assistant", or all of them."""
        return self._log.get_by_role("article", name=of or None)

    def stored(self, name: str) -> Locator:
        """Return the value that the panel shows under this name."""
        term = self.panel.get_by_role("term").filter(has_text=re.compile(f"^{name}$"))
        return term.locator("xpath=following-sibling::dd[1]")

    def session(self, title: str) -> Locator:
        """Return the button that opens the session of this title."""
        return self.sessions.get_by_role("button", name=title, exact=True)

    def listed(self) -> Locator:
        """Return the buttons that open a session, in their order."""
        return self.sessions.locator("button.open")

    async def act(self, what: str, title: str) -> None:
        """Use the button "Rename" or "Delete" beside a session."""
        await self.session(title).hover()
        await self.sessions.get_by_role("button", name=f"{what} {title}", exact=True).click()

    async def open_session(self, title: str) -> None:
        async with self.page.expect_event("load"):
            await self.session(title).click()
        await self.is_ready()

    async def cookie(self) -> str | None:
        """Return the token that the browser holds."""
        cookies = await self.page.context.cookies()
        tokens = (cookie for cookie in cookies if cookie.get("name") == "conversation")
        return next((token.get("value") for token in tokens), None)
