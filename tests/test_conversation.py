"""What a handler holds, when several of its tasks use it at once, and when a call of it fails."""

import asyncio
from typing import cast

import pytest

from jv_session_mw import (
    ConversationNotLoaded,
    ConversationStore,
    MemoryConversationStore,
    RedisConversationStore,
    StoreUnavailable,
    UnsupportedValue,
)
from tests.servers import RedisServer


async def test_a_second_load_of_another_task_keeps_what_the_first_one_changed(
    valkey: RedisServer,
) -> None:
    async with RedisConversationStore(url=valkey.url, deadline=10) as store:
        await store.set("id", {"a": 1})
        conversation = store.conversation("id")

        async def change() -> None:
            await conversation.load()
            conversation.state["changed"] = True

        await asyncio.gather(change(), conversation.load(), change())
        await conversation.save()
        assert await store.get("id") == {"a": 1, "changed": True}


async def test_what_was_saved_beside_a_reload_stays_saved(store: ConversationStore) -> None:
    await store.set("id", {"messages": [{"n": 1}]})
    async with store.open("id") as conversation:

        async def look_anew() -> None:
            await conversation.reload()
            assert {"n": 1} in list(conversation.messages)

        conversation.messages.append({"n": 2})
        await asyncio.gather(look_anew(), conversation.save())
        stored = await store.get("id")
        assert stored is not None
        assert list(conversation.messages) == stored["messages"]
    assert await store.get("id") == stored


async def test_older_messages_come_once_however_many_tasks_ask(valkey: RedisServer) -> None:
    async with RedisConversationStore(url=valkey.url, deadline=10, window=5) as store:
        await store.set("id", {"messages": [{"n": number} for number in range(20)]})
        async with store.open("id") as conversation:
            await asyncio.gather(conversation.messages.older(5), conversation.messages.older(5))
            assert [message["n"] for message in conversation.messages] == list(range(10, 20))


async def test_a_clear_is_not_undone_by_older_messages_that_come_late(valkey: RedisServer) -> None:
    async with RedisConversationStore(url=valkey.url, deadline=10, window=5) as store:
        await store.set("id", {"a": 1, "messages": [{"n": number} for number in range(20)]})
        async with store.open("id") as conversation:
            late = asyncio.create_task(conversation.messages.older(5))
            await asyncio.sleep(0)
            conversation.messages.clear()
            assert await late == []
        assert await store.get("id") == {"a": 1}


async def test_a_rotation_before_the_load_is_refused_and_moves_nothing() -> None:
    store = MemoryConversationStore()
    await store.set("id", {"a": 1})
    conversation = store.conversation("id")
    with pytest.raises(ConversationNotLoaded):
        await conversation.rotate()
    assert await store.get("id") == {"a": 1}


async def test_a_conversation_whose_delete_failed_can_still_be_saved(
    own_valkey: RedisServer,
) -> None:
    async with RedisConversationStore(url=own_valkey.url, fallback=None, deadline=5) as store:
        conversation = store.conversation("id")
        await conversation.load()
        own_valkey.kill()
        with pytest.raises(StoreUnavailable):
            await conversation.delete()
        assert not conversation.deleted
        own_valkey.start()
        conversation.state["a"] = 1
        await conversation.save()
        assert await store.get("id") == {"a": 1}


async def test_who_is_no_owner_and_what_is_no_text_are_refused_without_a_word_of_them() -> None:
    store = MemoryConversationStore()
    with pytest.raises(UnsupportedValue, match="give a string, not int"):
        await store.get("id", owner=cast("str", 4711))
    async with store.open("id") as conversation:
        with pytest.raises(UnsupportedValue, match="give a string, not bytes"):
            conversation.reply().write(cast("str", b"secret"))


@pytest.mark.parametrize("piece", [None, b"lo", 1])
async def test_a_piece_that_is_no_text_is_refused_and_keeps_what_came_before(piece: object) -> None:
    store = MemoryConversationStore()
    async with store.open("id") as conversation:
        reply = conversation.reply()
        reply.write("hel")
        with pytest.raises(UnsupportedValue, match="a piece of the reply"):
            reply.write(piece)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        reply.interrupt()
    half = {"role": "assistant", "content": "hel", "interrupted": True}
    assert await store.get("id") == {"messages": [half]}


async def test_a_reply_tells_its_text_after_its_end_and_is_stored_once() -> None:
    store = MemoryConversationStore()
    async with store.open("id") as conversation:
        async with conversation.reply() as reply:
            reply.write("hello")
        reply.write(" again")
        reply.finish()
        assert reply.text.startswith("hello")
    assert await store.get("id") == {"messages": [{"role": "assistant", "content": "hello"}]}


async def test_a_reply_lets_no_other_message_be_compared() -> None:
    store = MemoryConversationStore()
    await store.set("id", {"messages": [{"role": "user", "content": str(at)} for at in range(9)]})
    async with store.open("id") as conversation:
        reply = conversation.reply()
        reply.write("hello")
        conversation.checkpoint_replies()
        reply.finish()
        assert (conversation.messages.unlooked, len(conversation.messages)) == (9, 10)


async def test_what_is_no_id_and_no_dict_is_refused() -> None:
    store = MemoryConversationStore()
    with pytest.raises(UnsupportedValue, match="give a string"):
        await store.set(None, {})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(UnsupportedValue, match="give a dict"):
        await store.set("id", "text")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert await store.size() == 0
