"""The sidebar of sessions as a person uses it, in a real browser."""

import pytest
from playwright.async_api import expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.held_model import HeldModel

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(autouse=True)
def _answers_at_once(model: HeldModel) -> None:
    model.finish()


async def test_a_session_is_listed_with_its_first_message(chat: ChatPage) -> None:
    await expect(chat.listed()).to_have_count(0)
    await chat.ask("To Rome")
    await expect(chat.listed()).to_have_text(["To Rome"])
    await chat.ask("and back")
    await expect(chat.listed()).to_have_text(["To Rome"])
    await expect(chat.sessions.locator("[aria-current]")).to_have_count(1)


async def test_an_older_session_is_resumed_and_goes_on(chat: ChatPage) -> None:
    await chat.ask("To Rome")
    await chat.begin_anew()
    await chat.ask("To Paris")
    await expect(chat.listed()).to_have_text(["To Paris", "To Rome"])
    await chat.open_session("To Rome")
    await expect(chat.messages("You")).to_have_text(["To Rome"])
    await expect(chat.page.get_by_role("heading", level=1)).to_have_text("To Rome")
    await chat.ask("and back")
    await expect(chat.messages("Assistant").last).to_contain_text("the first was: To Rome")
    await expect(chat.listed()).to_have_text(["To Rome", "To Paris"])


async def test_a_renamed_session_keeps_its_name(chat: ChatPage) -> None:
    await chat.ask("To Rome")
    await chat.act("Rename", "To Rome")
    title = chat.sessions.get_by_role("textbox", name="Title")
    await title.fill("<b>Holidays</b>")
    await title.press("Enter")
    await expect(chat.listed()).to_have_text(["<b>Holidays</b>"])
    await expect(chat.page.get_by_role("heading", level=1)).to_have_text("<b>Holidays</b>")
    await chat.reload()
    await chat.ask("and back")
    await expect(chat.listed()).to_have_text(["<b>Holidays</b>"])


async def test_a_search_narrows_the_list(chat: ChatPage) -> None:
    for title in ("To Rome", "To Paris"):
        await chat.ask(title)
        await chat.begin_anew()
    search = chat.sessions.get_by_role("searchbox", name="Search sessions")
    await search.fill("rome")
    await expect(chat.listed()).to_have_text(["To Rome"])
    await search.fill("nothing like it")
    await expect(chat.listed()).to_have_count(0)
    await search.fill("")
    await expect(chat.listed()).to_have_text(["To Paris", "To Rome"])


async def test_a_deleted_session_is_gone_with_its_messages(chat: ChatPage) -> None:
    chat.page.on("dialog", lambda dialog: dialog.accept())
    await chat.ask("To Rome")
    await chat.begin_anew()
    await chat.ask("To Paris")
    for title in ("To Rome", "To Paris"):  # another one, and the one that is open
        async with chat.page.expect_event("load"):
            await chat.act("Delete", title)
        await chat.is_ready()
        await expect(chat.session(title)).to_have_count(0)
    await expect(chat.messages()).to_have_count(0)
    await expect(chat.listed()).to_have_count(0)


async def test_another_visitor_sees_none_of_it(chat: ChatPage) -> None:
    await chat.ask("To Rome")
    browser = chat.page.context.browser
    assert browser is not None
    stranger = ChatPage(await browser.new_page(), chat.url)
    await stranger.open()
    await expect(stranger.listed()).to_have_count(0)
    await stranger.page.context.close()
