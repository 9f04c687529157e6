"""The chat while its server is killed under it, and when it is back."""

import pytest
from playwright.async_api import expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.held_model import HeldModel
from tests.servers import RedisServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def store_is_back(chat: ChatPage) -> None:
    """Wait until the probe has found the store: new conversations use it then."""
    for _ in range(100):
        health = await chat.page.request.get(f"{chat.url}/health")
        if not (await health.json())["using_fallback"]:
            return
        await chat.page.wait_for_timeout(50)
    pytest.fail("the store was not found again")


async def test_an_answer_goes_on_when_redis_is_killed_in_the_middle_of_it(
    chat: ChatPage, model: HeldModel, own_valkey: RedisServer
) -> None:
    await chat.say("hello")
    model.say(3)
    await expect(chat.messages("Assistant")).to_have_text("You said: hello")
    cookie = await chat.cookie()
    own_valkey.kill()
    model.finish()
    await chat.turn_ends()
    await expect(chat.messages("Assistant")).to_contain_text("all of it is still here.")
    await expect(chat.degraded).to_be_visible()
    await chat.reload()
    await expect(chat.messages("Assistant")).to_contain_text("all of it is still here.")
    assert cookie is not None
    assert await chat.cookie() == cookie


async def test_a_conversation_goes_on_with_its_context_while_redis_is_away(
    chat: ChatPage, model: HeldModel, own_valkey: RedisServer
) -> None:
    model.finish()
    await chat.ask("before")
    cookie = await chat.cookie()
    own_valkey.kill()
    await chat.ask("after")
    await expect(chat.messages("Assistant").last).to_contain_text("the first was: before")
    await expect(chat.stored("Degraded")).to_have_text("yes, in memory only")
    await expect(chat.stored("Store")).to_have_text("away")
    await expect(chat.spans.get_by_text("memory")).to_have_count(3)
    assert cookie is not None
    assert await chat.cookie() == cookie


async def test_a_new_conversation_uses_redis_again_when_it_is_back(
    chat: ChatPage, model: HeldModel, own_valkey: RedisServer
) -> None:
    model.finish()
    own_valkey.kill()
    await chat.ask("into memory")
    await expect(chat.degraded).to_be_visible()
    own_valkey.start()
    await store_is_back(chat)
    await chat.reload()
    await expect(chat.messages("You")).to_have_text("into memory")
    await expect(chat.degraded).to_be_visible()  # what was written to memory stays there
    await chat.begin_anew()
    await chat.ask("into Redis")
    await expect(chat.stored("Degraded")).to_have_text("no")
    await expect(chat.degraded).to_be_hidden()
    assert int(own_valkey.ask("DBSIZE").removeprefix(":")) == 2  # its hash and its messages
