"""The life of a stored conversation: its owner and its times, rotation, deletion."""

from datetime import UTC, datetime, timedelta

import pytest

from jv_session_mw import (
    ConversationGone,
    ConversationStore,
    RedisConversationStore,
)
from tests.servers import RedisServer
from tests.stores import TTL_SECONDS, save


async def test_a_conversation_that_was_deleted_under_a_block_stays_deleted(
    store: ConversationStore,
) -> None:
    await save(store, a=1)

    async def late() -> None:
        async with store.open("id") as conversation:
            await store.delete("id")
            conversation.state["a"] = 2

    with pytest.raises(ConversationGone):
        await late()
    assert await store.get("id") is None
    with pytest.raises(ConversationGone):
        await save(store, a=3)


async def test_a_block_from_before_a_delete_does_not_join_what_came_after(
    store: ConversationStore,
) -> None:
    await save(store, a=1)

    async def late() -> None:
        async with store.open("id") as conversation:
            await store.delete("id")
            await store.set("id", {"new": True})
            conversation.messages.append({"of": "the deleted one"})

    with pytest.raises(ConversationGone):
        await late()
    assert await store.get("id") == {"new": True}


async def test_a_delete_inside_a_block_saves_nothing(store: ConversationStore) -> None:
    await save(store, a=1)
    async with store.open("id") as conversation:
        conversation.state["a"] = 2
        await conversation.delete()
        conversation.state["a"] = 3
        assert conversation.deleted
    assert await store.get("id") is None


async def test_a_rotation_moves_everything_and_deletes_the_old(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        conversation.state["a"] = 1
        conversation.messages.extend({"n": at} for at in range(120))
    async with store.open("id") as conversation:
        conversation.state["b"] = 2
        await conversation.rotate()
        new = conversation.id
        assert new != "id"
        assert conversation.state == {"a": 1, "b": 2}
        conversation.messages.append({"n": 120})
    assert await store.keys() == [new]
    assert await store.get(new) == {"a": 1, "b": 2, "messages": [{"n": at} for at in range(121)]}
    with pytest.raises(ConversationGone):
        await save(store, "id", a=2)


async def test_a_reload_forgets_and_fetches(store: ConversationStore) -> None:
    await save(store, a=1)
    async with store.open("id") as conversation:
        conversation.state["a"] = "forgotten"
        await save(store, b=2)
        await conversation.reload()
        assert conversation.state == {"a": 1, "b": 2}
        assert conversation.version == 2
    assert await store.get("id") == {"a": 1, "b": 2}


async def test_a_reload_of_nothing_is_gone(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        with pytest.raises(ConversationGone):
            await conversation.reload()


async def test_times_and_versions_are_told(store: ConversationStore) -> None:
    now = datetime.now(UTC)
    async with store.open("id") as conversation:
        assert (conversation.created_at, conversation.expires_at) == (None, None)
        conversation.state["a"] = 1
        await conversation.save()
        created, expires = conversation.created_at, conversation.expires_at
        assert created is not None
        assert expires is not None
        assert abs(created - now) < timedelta(seconds=60)
        assert abs(expires - now - timedelta(seconds=TTL_SECONDS)) < timedelta(seconds=60)
        assert (conversation.version, conversation.degraded) == (1, False)
    async with store.open("id") as conversation:
        assert conversation.created_at == created


async def test_a_new_conversation_is_degraded_while_its_store_is_away(valkey: RedisServer) -> None:
    async with RedisConversationStore(url=valkey.url, deadline=10) as near:
        assert not near.conversation(None).degraded
    async with RedisConversationStore(port=1) as away:
        await away.has("id")
        assert away.conversation(None).degraded


async def test_an_owner_has_conversations_of_their_own(store: ConversationStore) -> None:
    async with store.open("id", owner="ada") as conversation:
        conversation.state["of"] = "ada"
        assert conversation.owner == "ada"
    assert await store.get("id") is None
    assert await store.get("id", owner="bob") is None
    assert await store.get("id", owner="ada") == {"of": "ada"}
    assert (await store.keys(), await store.keys(owner="ada")) == ([], ["id"])
    assert await store.size() == 1
