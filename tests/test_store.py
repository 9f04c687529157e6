"""The one door to state: conversations opened outside of a request."""

import asyncio
from typing import Any

import pytest

from jv_session_mw import (
    Conversation,
    ConversationConflict,
    ConversationStore,
    RedisConversationStore,
    UnreadableConversation,
    UnsupportedValue,
)
from tests.backends.harness import Bytes
from tests.servers import Servers
from tests.stores import save


async def test_what_a_block_changes_is_there_in_the_next(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        assert (conversation.is_new, conversation.version) == (True, 0)
        conversation.state["nested"] = {"list": [1]}
        conversation.messages.append({"role": "user", "content": "hi"})
    async with store.open("id") as conversation:
        assert (conversation.is_new, conversation.version) == (False, 1)
        conversation.state["nested"]["list"].append(2)
    async with store.open("id") as conversation:
        assert conversation.state == {"nested": {"list": [1, 2]}}
        assert conversation.messages == [{"role": "user", "content": "hi"}]
        assert conversation.id == "id"


async def test_a_block_that_only_reads_stores_nothing(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        assert conversation.state == {}
        assert conversation.messages == []
    assert await store.keys() == []
    await save(store, a=1)
    async with store.open("id") as conversation:
        assert conversation.state == {"a": 1}
    async with store.open("id") as conversation:
        assert conversation.version == 1


async def test_an_exception_discards_what_was_not_saved(store: ConversationStore) -> None:
    async def fail() -> None:
        async with store.open("id") as conversation:
            conversation.state["a"] = "saved"
            await conversation.save()
            conversation.state["a"] = "lost"
            conversation.messages.append({"content": "lost"})
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await store.get("id") == {"a": "saved"}


async def test_a_cancellation_keeps_what_was_changed(store: ConversationStore) -> None:
    inside = asyncio.Event()

    async def stream() -> None:
        async with store.open("id") as conversation, conversation.reply() as reply:
            reply.write("half an ans")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stream())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stored = await store.get("id")
    assert stored is not None
    assert stored["messages"] == [
        {"role": "assistant", "content": "half an ans", "interrupted": True}
    ]


async def test_save_twice_stores_once(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        conversation.messages.append({"n": 1})
        await conversation.save()
        await conversation.save()
        assert conversation.version == 1
    assert await store.get("id") == {"messages": [{"n": 1}]}


async def test_two_tasks_that_save_one_handle_lose_and_double_nothing(
    store: ConversationStore,
) -> None:
    async def work(conversation: Conversation[dict[str, Any]], name: str) -> None:
        for at in range(10):
            conversation.messages.append({"of": name, "at": at})
            conversation.state[name] = at
            await conversation.save()

    async with store.open("id") as conversation:
        await asyncio.gather(*(work(conversation, name) for name in "abc"))
    stored = await store.get("id")
    assert stored is not None
    assert {name: stored[name] for name in "abc"} == dict.fromkeys("abc", 9)
    for name in "abc":
        assert [m["at"] for m in stored["messages"] if m["of"] == name] == list(range(10))


@pytest.mark.parametrize("ticks", range(8))
async def test_a_cancelled_save_lands_once(store: ConversationStore, ticks: int) -> None:
    async with store.open("id") as conversation:
        conversation.messages.append({"n": 1})
        task = asyncio.create_task(conversation.save())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        conversation.messages.append({"n": 2})
    assert await store.get("id") == {"messages": [{"n": 1}, {"n": 2}]}


async def test_two_that_opened_the_same_both_stay(store: ConversationStore) -> None:
    await save(store, a=1, b=1)
    async with store.open("id") as one, store.open("id") as two:
        one.state["a"] = 2
        one.messages.append({"of": "one"})
        two.state["b"] = 2
        two.messages.append({"of": "two"})
    stored = await store.get("id")
    assert stored is not None
    assert (stored["a"], stored["b"], len(stored["messages"])) == (2, 2, 2)


async def test_a_value_that_cannot_be_stored_is_refused_whole(store: ConversationStore) -> None:
    await save(store, a=1)

    async def turn() -> None:
        async with store.open("id") as conversation:
            conversation.state.update(a=2, bad={1})

    with pytest.raises(UnsupportedValue, match=r"state\.bad"):
        await turn()
    assert await store.get("id") == {"a": 1}


async def test_a_bad_name_in_one_conversation_harms_no_other(store: ConversationStore) -> None:
    async def bad() -> None:
        async with store.open("bad") as conversation:
            conversation.state["\ud800"] = 1

    results = await asyncio.gather(
        bad(), *(save(store, str(at), a=at) for at in range(9)), return_exceptions=True
    )
    assert isinstance(results[0], UnsupportedValue)
    assert results[1:] == [None] * 9
    assert await store.size() == 9


async def test_a_store_that_rejects_names_the_fields(servers: Servers) -> None:
    store = RedisConversationStore(
        url=servers.get("valkey-9").url, on_conflict="reject", deadline=10
    )
    async with store:
        await save(store, a=1, b=1)
        async with store.open("id") as one, store.open("id") as two:
            two.state["a"] = "two"
            await two.save()
            one.state.update(a="one", b="one")
            with pytest.raises(ConversationConflict) as conflict:
                await one.save()
            assert conflict.value.fields == ("a",)
            await one.reload()
            assert one.state == {"a": "two", "b": 1}
            one.state["b"] = "one"
        assert await store.get("id") == {"a": "two", "b": "one"}


@pytest.mark.parametrize(
    ("where", "data"),
    [("field", b"garbage"), ("field", b"j2;1"), ("field", b"j1;{"), ("message", b"2:garbage")],
)
async def test_a_value_that_cannot_be_read_stays(servers: Servers, where: str, data: bytes) -> None:
    server = servers.get("valkey-9")
    stored = Bytes(server)
    async with RedisConversationStore(url=server.url, deadline=10) as store:
        async with store.open("id") as conversation:
            conversation.state["a"] = 1
            conversation.messages.append({"n": 1})
        if where == "field":
            stored.do("HSET", "conv:{id}", ".a", data)
        else:
            stored.do("RPUSH", "conv:{id}:m", data)
        before = stored.everything()
        with pytest.raises(UnreadableConversation):
            async with store.open("id") as conversation:
                conversation.state["a"] = 2
        with pytest.raises(UnreadableConversation):
            await store.get("id")
        with pytest.raises(UnreadableConversation):
            await store.set("id", {"a": 3})
        assert stored.everything() == before
    stored.close()


async def test_the_store_closes_after_the_commits_in_flight(store: ConversationStore) -> None:
    async with store.open("id") as conversation:
        conversation.state["a"] = 1
        task = asyncio.create_task(conversation.save())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await store.close()
        await asyncio.gather(task, return_exceptions=True)
    assert await store.get("id") == {"a": 1}


@pytest.mark.parametrize("length", [200, 201, 1_000])
async def test_the_keys_of_a_long_owner_are_found_too(
    store: ConversationStore, length: int
) -> None:
    owner = "o" * length
    await store.set("mine", {"a": 1}, owner=owner)
    await store.set("theirs", {"a": 1}, owner=owner + "o")
    assert await store.keys(owner=owner) == ["mine"]
