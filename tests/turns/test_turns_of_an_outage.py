"""What becomes of turns while the store is away, and when it is back."""

import asyncio

import pytest

from jv_session_mw import (
    ConversationStore,
    RedisConversationStore,
    StoreUnavailable,
    turns,
)
from jv_session_mw.backends import fallback
from tests.backends.harness import Bytes, eventually
from tests.faults.proxy import Proxy
from tests.servers import RedisServer
from tests.stores import PATIENCE
from tests.turns import leases
from tests.turns.counting import count_up


async def test_a_lease_is_renewed_again_after_a_time_without_the_store(
    valkey: RedisServer, stored: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEASE_SECONDS", 0.05)
    async with (
        Proxy(valkey.port) as proxy,
        RedisConversationStore(url=proxy.url, fallback=None) as store,
        store.conversation("id").turn(),
    ):
        proxy.part()
        await eventually(lambda: store.condition().last_error is not None)
        _, _, last = leases.record(stored)
        proxy.join()
        await eventually(lambda: leases.record(stored)[2] > last + 50)


async def test_the_turns_of_a_process_are_kept_apart_while_the_store_is_away(
    valkey: RedisServer,
) -> None:
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {})
        proxy.part()
        await asyncio.gather(*(count_up(store) for _ in range(9)))
        async with store.open("id") as conversation:
            assert conversation.state == {"count": 9}
            assert conversation.degraded


async def test_a_turn_ends_in_memory_when_the_store_goes_away_in_it(valkey: RedisServer) -> None:
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {})
        async with store.open("id") as conversation, conversation.turn():
            proxy.part()
            conversation.state["a"] = 1
        await count_up(store)
        async with store.open("id") as conversation:
            assert conversation.state == {"a": 1, "count": 1}


async def test_a_turn_that_an_outage_has_met_is_given_back_as_soon_as_the_store_is_there(
    valkey: RedisServer, processes: list[ConversationStore]
) -> None:
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {})
        async with store.conversation("id").turn():
            proxy.part()
            async with store.open("id") as other:
                other.state["a"] = 1
            proxy.join()
            await eventually(lambda: not store.condition().degraded)
        async with processes[0].conversation("id").turn(wait=PATIENCE):  # a lease lasts for longer
            pass


async def test_what_memory_keeps_after_an_outage_waits_for_no_other_process(
    valkey: RedisServer, processes: list[ConversationStore]
) -> None:
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {})
        proxy.part()
        await count_up(store)
        proxy.join()
        await eventually(lambda: not store.condition().degraded)
        async with processes[0].conversation("id").turn():
            await store.conversation("id").turn(wait=0)


async def test_what_a_turn_of_an_outage_stored_is_replayed_whoever_had_a_turn_meanwhile(
    valkey: RedisServer, processes: list[ConversationStore], stored: Bytes
) -> None:
    async with (
        Proxy(valkey.port) as proxy,
        RedisConversationStore(url=proxy.url, recovery="replay") as store,
    ):
        await store.set("id", {})
        async with store.open("id") as conversation:
            await conversation.turn()
            proxy.part()
            conversation.messages.append({"n": "here"})
            await conversation.save()
            leases.end(stored)
            await count_up(processes[0])
            proxy.join()
        await eventually(lambda: not store.condition().to_replay)
        stored_now = await processes[0].get("id")
        assert stored_now == {"count": 1, "messages": [{"n": 0}, {"n": "here"}]}


@pytest.mark.parametrize("call", ["turn", "reload"])
async def test_memory_that_knows_nothing_of_a_conversation_does_not_call_it_gone(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(fallback, "A_QUARTER_OF_ENTRIES", 1)
    async with Proxy(valkey.port) as proxy, RedisConversationStore(url=proxy.url) as store:
        await store.set("id", {"a": 1})
        conversation = store.conversation("id")
        await conversation.load()
        await store.set("another", {})  # there is room for the copy of one
        proxy.part()
        with pytest.raises(StoreUnavailable):
            await getattr(conversation, call)()
        assert conversation.state == {"a": 1}
