"""The chat as a person uses it, in a real browser."""

import pytest
from playwright.async_api import expect

from tests.e2e.chat_page import MINUTES, ChatPage
from tests.e2e.held_model import HeldModel

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_the_answer_is_shown_while_it_is_still_being_made(
    chat: ChatPage, model: HeldModel
) -> None:
    await chat.say("hello")
    answer = chat.messages("Assistant")
    model.say(2)
    await expect(answer).to_have_text("You said:")
    model.say(1)
    await expect(answer).to_have_text("You said: hello")
    model.say(2)
    await expect(answer).to_have_text("You said: hello Your message")
    await expect(chat.stop).to_be_visible()


async def test_a_stopped_answer_is_kept_and_marked(chat: ChatPage, model: HeldModel) -> None:
    await chat.say("hello")
    model.say(3)
    await expect(chat.messages("Assistant")).to_have_text("You said: hello")
    await chat.stop.click()
    await chat.turn_ends()
    await chat.reload()
    await expect(chat.messages("You")).to_have_text("hello")
    await expect(chat.messages("Assistant")).to_have_text("You said: hello interrupted")
    await expect(chat.panel.get_by_text("interrupted")).to_have_count(1)


async def test_a_window_closed_in_the_middle_of_an_answer_loses_nothing(
    chat: ChatPage, model: HeldModel
) -> None:
    await chat.say("hello")
    model.say(3)
    await expect(chat.messages("Assistant")).to_have_text("You said: hello")
    await chat.reload()
    await expect(chat.messages("Assistant")).to_have_text("You said: hello interrupted")


async def test_a_stopped_conversation_goes_on(chat: ChatPage, model: HeldModel) -> None:
    await chat.say("first")
    model.say(3)
    await expect(chat.messages("Assistant")).to_have_text("You said: first")
    await chat.stop.click()
    await chat.turn_ends()
    model.finish()
    await chat.ask("second")
    await expect(chat.messages("Assistant").last).to_contain_text(
        "I know 2 earlier messages; the first was: first"
    )


async def test_a_reload_finds_the_conversation(chat: ChatPage, model: HeldModel) -> None:
    model.finish()
    await chat.ask("first")
    await chat.ask("second")
    before = await chat.messages().all_text_contents()
    await chat.reload()
    await expect(chat.messages()).to_have_text(before)
    assert len(before) == 4


async def test_a_second_conversation_is_empty_and_does_not_know_the_first(
    chat: ChatPage, model: HeldModel
) -> None:
    model.finish()
    await chat.ask("a secret")
    first = await chat.cookie()
    await chat.begin_anew()
    await expect(chat.messages()).to_have_count(0)
    await expect(chat.stored("Version")).to_have_text("nothing yet")
    await chat.ask("anything before this?")
    await expect(chat.messages("Assistant")).to_contain_text("You said: anything before this?")
    await expect(chat.messages("Assistant")).not_to_contain_text("secret")
    assert await chat.cookie() not in (None, first)


async def test_a_visitor_who_says_nothing_gets_no_cookie(chat: ChatPage) -> None:
    await chat.reload()
    assert await chat.cookie() is None


async def test_the_panel_shows_what_is_stored(chat: ChatPage, model: HeldModel) -> None:
    model.finish()
    await chat.ask("hello")
    await expect(chat.stored("Version")).to_have_text("2")
    await expect(chat.stored("Expires in")).to_have_text(MINUTES)
    await expect(chat.stored("Degraded")).to_have_text("no")
    await expect(chat.stored("title")).to_have_text('"hello"')
    await expect(chat.stored("turns")).to_have_text("1")
    await expect(chat.panel.get_by_text("user")).to_have_count(1)
    await expect(chat.panel.get_by_text("assistant")).to_have_count(1)
    await expect(chat.degraded).to_be_hidden()


async def test_the_panel_shows_the_spans_of_the_last_turn_below_that_of_the_request(
    chat: ChatPage, model: HeldModel
) -> None:
    model.finish()
    await chat.ask("first")
    await chat.ask("second")
    below = chat.spans.get_by_role("listitem").filter(has_text="POST /chat").get_by_role("listitem")
    await expect(below).to_contain_text(
        ["conversation.load", "conversation.save", "chat held", "conversation.save"]
    )


async def test_markup_in_a_message_is_text(chat: ChatPage, model: HeldModel) -> None:
    model.finish()
    markup = "<img src=x onerror='document.body.remove()'>"
    await chat.ask(markup)
    await expect(chat.messages("You")).to_have_text(markup)
    await chat.reload()
    await expect(chat.messages("Assistant")).to_contain_text(markup)
    await expect(chat.page.get_by_role("heading", level=1)).to_have_text(markup)
    await expect(chat.page.locator("img")).to_have_count(0)
