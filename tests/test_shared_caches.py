"""What was answered to one client reaches no other one by way of a shared cache."""

from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send

from jv_session_mw import MemoryConversationStore, get_conversation
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS, chat
from tests.promises.raw import Exchange, body, start
from tests.promises.stacks import ours, visiting

PUBLIC = (b"cache-control", b"public")


async def test_a_response_that_hands_out_a_token_is_for_no_shared_cache() -> None:
    visitor = visiting(ours(chat(), MemoryConversationStore()))
    answer = await visitor.turn("endpoint", "one")
    assert answer.all("cache-control") == ["no-store"]
    varies = ",".join(answer.all("vary")).lower()
    assert "cookie" in varies
    assert "x-conversation-id" in varies


LOOKS: dict[str, Callable[[Scope], object]] = {
    "took": get_conversation,
    "state": lambda scope: scope["state"]["conversation"].state,
    "messages": lambda scope: scope["state"]["conversation"].messages,
    "id": lambda scope: scope["state"]["conversation"].id,
    "nothing": lambda scope: None,
}


@pytest.mark.parametrize("length", [2, None])
@pytest.mark.parametrize("visits", ["visitor", "known"])
@pytest.mark.parametrize("look", LOOKS)
async def test_an_answer_that_may_come_from_the_conversation_is_cached_for_no_other_client(
    look: str, visits: str, length: int | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        LOOKS[look](scope)
        opening = start(length=length)
        await send({**opening, "headers": [*opening["headers"], PUBLIC]})
        await send(body(b"ok"))

    token = TokenSigner(KEYS, purpose="conversation").sign("id")
    store = MemoryConversationStore()
    await store.set("id", {"mark": "kept"})
    headers = {"cookie": f"__Host-conversation={token}"} if visits == "known" else {}
    exchange = await Exchange(headers=headers).run(ours(app, store))
    assert exchange.scope["state"]["conversation"].known == (visits == "known")
    may_depend = look != "nothing" or length is None
    assert exchange.all("vary") == ["X-Conversation-ID, Cookie"] * may_depend
    assert exchange.all("cache-control") == ["public"]
