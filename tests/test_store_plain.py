"""The store as a keeper of plain dicts under plain ids: get, set, has, delete and the rest."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from jv_session_mw import (
    ConfigurationError,
    ConversationStore,
    RedisConversationStore,
    StoreHealth,
    UnsupportedValue,
    create_conversation_store,
    get_conversation_store,
    reset_conversation_store,
)
from jv_session_mw.cli.server import free_port
from tests.backends.harness import Bytes
from tests.servers import RedisServer

VALUE: dict[str, Any] = {
    "topic": "trip",
    "when": datetime(2020, 1, 1, tzinfo=UTC),
    "price": Decimal("1.50"),
    "nested": {"a": [1, None, True, "ü"]},
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
}


async def test_what_is_set_is_got(store: ConversationStore) -> None:
    assert await store.get("id") is None
    await store.set("id", VALUE)
    assert await store.get("id") == VALUE


PLAIN: list[dict[str, Any]] = [
    {},
    {"messages": []},
    {"messages": "not a list"},
    {"messages": None},
    {"messages": ["text", 1, None]},
    {"messages": [{"n": 1}] * 120},
    {"": 1, "@v": 2, ".": 3, "a:b": 4},
]


@pytest.mark.parametrize("value", PLAIN)
async def test_any_plain_dict_comes_back(store: ConversationStore, value: dict[str, Any]) -> None:
    await store.set("id", value)
    assert await store.get("id") == value
    await store.set("id", VALUE)
    assert await store.get("id") == VALUE
    await store.set("id", value)
    assert await store.get("id") == value


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"n": 1}],
        [{"n": 1}, {"n": 2}],
        [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}],
        [{"n": 3}, {"n": 2}, {"n": 1}],
        [{"n": "new"}],
    ],
)
async def test_a_set_replaces_the_messages(
    store: ConversationStore, messages: list[dict[str, Any]]
) -> None:
    await store.set("id", {"messages": [{"n": 1}, {"n": 2}, {"n": 3}]})
    await store.set("id", {"messages": messages})
    assert await store.get("id") == {"messages": messages}


async def test_a_set_replaces_the_whole(store: ConversationStore) -> None:
    await store.set("id", {"a": 1, "b": 2})
    await store.set("id", {"b": 3, "c": 4})
    assert await store.get("id") == {"b": 3, "c": 4}


async def test_what_was_set_is_opened_and_what_was_opened_is_got(store: ConversationStore) -> None:
    await store.set("id", VALUE)
    async with store.open("id") as conversation:
        assert conversation.state["topic"] == "trip"
        conversation.messages.append({"n": 3})
    got = await store.get("id")
    assert got == {**VALUE, "messages": [*VALUE["messages"], {"n": 3}]}


async def test_has_and_delete_say_what_there_was(store: ConversationStore) -> None:
    assert (await store.has("id"), await store.delete("id")) == (False, False)
    await store.set("other", {"a": 1})
    assert await store.has("other")
    assert await store.delete("other")
    assert (await store.has("other"), await store.get("other")) == (False, None)
    assert not await store.delete("other")


async def test_a_set_brings_back_what_was_deleted(store: ConversationStore) -> None:
    await store.set("id", {"old": 1, "messages": [{"old": 1}]})
    await store.delete("id")
    await store.set("id", {"new": 1})
    assert await store.get("id") == {"new": 1}
    await store.set("id", {"new": 2})
    assert await store.get("id") == {"new": 2}


async def test_a_refresh_says_whether_there_was_anything(store: ConversationStore) -> None:
    assert not await store.refresh_ttl("id")
    await store.set("id", {"a": 1})
    assert await store.refresh_ttl("id")


async def test_keys_and_size_tell_what_is_stored(store: ConversationStore) -> None:
    ids = ["a", "b:c", "*", "{", "", "~", "ü", "\ud800"]
    for id in ids:
        await store.set(id, {"id": 1})
    await store.delete("a")
    await store.set("mine", {"a": 1}, owner="ada")
    assert sorted(await store.keys()) == sorted(ids[1:])
    assert await store.keys(owner="ada") == ["mine"]
    assert await store.size() == len(ids)


async def test_clear_removes_everything_and_counts_it(store: ConversationStore) -> None:
    for at in range(150):
        await store.set(str(at), {"a": at})
    await store.set("mine", {"a": 1}, owner="ada")
    assert await store.clear() == 151
    assert (await store.size(), await store.keys()) == (0, [])
    assert await store.clear() == 0


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": {1}}, "state.a"),
        ({"messages": [{"a": object()}]}, "messages"),
        ({1: "a"}, "state"),
        ({"\ud800": 1}, "state"),
        ({None: 1}, "state"),
    ],
)
async def test_a_value_that_would_not_come_back_is_refused_and_nothing_stored(
    store: ConversationStore, value: dict[str, Any], field: str
) -> None:
    await store.set("id", {"a": 1})
    with pytest.raises(UnsupportedValue) as refused:
        await store.set("id", value)
    assert field in refused.value.field
    assert await store.get("id") == {"a": 1}


async def test_concurrent_sets_end_with_one_of_them(store: ConversationStore) -> None:
    values = [{"n": at, "messages": [{"n": at}]} for at in range(12)]
    await asyncio.gather(*(store.set("id", value) for value in values))
    got = await store.get("id")
    assert got is not None
    assert got["n"] in range(12)


async def test_a_healthy_store_says_so(store: ConversationStore) -> None:
    health = await store.get_health()
    assert isinstance(health, StoreHealth)
    assert (health.connected, health.using_fallback, health.last_error) == (True, False, None)
    assert health.latency_ms is not None
    assert health.latency_ms >= 0


async def test_a_store_without_its_server_says_so_and_serves() -> None:
    store = RedisConversationStore(host="127.0.0.1", port=free_port())
    await store.initialize()
    await store.set("id", {"a": 1})
    assert await store.get("id") == {"a": 1}
    assert await store.keys() == ["id"]
    health = await store.get_health()
    assert (health.connected, health.latency_ms, health.using_fallback) == (False, None, True)
    assert health.last_error
    assert health.in_memory == 1
    await store.close()


async def test_a_store_works_without_being_initialized_and_after_being_closed(
    valkey: RedisServer,
) -> None:
    store = RedisConversationStore(url=valkey.url, deadline=10)
    await store.set("id", {"a": 1})
    await store.close()
    assert await store.get("id") == {"a": 1}
    await store.close()


async def test_a_log_that_lost_its_fields_is_replaced_by_a_set(valkey: RedisServer) -> None:
    stored = Bytes(valkey)
    async with RedisConversationStore(url=valkey.url, deadline=2) as store:
        await store.set("id", VALUE)
        stored.do("DEL", "conv:{id}")
        await store.set("id", {"new": 1, "messages": [{"n": 1}]})
        assert await store.get("id") == {"new": 1, "messages": [{"n": 1}]}
        assert not store.condition().degraded
    stored.close()


async def test_foreign_keys_do_not_disturb(valkey: RedisServer) -> None:
    stored = Bytes(valkey)
    async with RedisConversationStore(url=valkey.url, deadline=10) as store:
        await store.set("id", {"a": 1})
        for key in (b"conv:{\xff}", b"conv:{%FF}", b"conv:x", b"other"):
            stored.do("SET", key, "1")
        assert "id" in await store.keys()
        assert await store.size() >= 1
        await store.clear()
        assert await store.get("id") is None
        assert stored.do("EXISTS", "conv:x", "other") == 2
    stored.close()


async def test_two_prefixes_are_two_stores(valkey: RedisServer) -> None:
    async with (
        RedisConversationStore(url=valkey.url, key_prefix="a:", deadline=10) as one,
        RedisConversationStore(url=valkey.url, key_prefix="b:", deadline=10) as two,
    ):
        await one.set("id", {"of": "one"})
        assert await two.get("id") is None
        assert (await two.size(), await two.clear()) == (0, 0)
        assert await one.get("id") == {"of": "one"}


async def test_the_process_has_one_store_from_its_environment(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"{valkey.url}/2")
    monkeypatch.setenv("REDIS_CONVERSATION_TTL", "77")
    await reset_conversation_store()
    store = get_conversation_store()
    assert get_conversation_store() is store
    await store.set("id", {"a": 1})
    stored = Bytes(valkey)
    stored.do("SELECT", 2)
    assert stored.keys() == {b"conv:{id}"}
    assert 0 < stored.number("PTTL", "conv:{id}") <= 77_000
    stored.close()
    await reset_conversation_store()
    assert get_conversation_store() is not store
    await reset_conversation_store()
    await reset_conversation_store()


async def test_parts_of_an_address_come_from_the_environment_too(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(valkey.port))
    monkeypatch.setenv("REDIS_DB", "3")
    async with create_conversation_store(deadline=10) as store:
        await store.set("id", {"a": 1})
        assert (await store.get_health()).connected
    stored = Bytes(valkey)
    stored.do("SELECT", 3)
    assert stored.keys() == {b"conv:{id}"}
    stored.close()


async def test_an_argument_wins_over_the_environment(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("REDIS_CONVERSATION_TTL", "77")
    async with create_conversation_store(url=valkey.url, ttl_seconds=5, fallback=None) as store:
        await store.set("id", {"a": 1})
        assert store.rules.ttl_ms == 5_000


def test_a_host_that_the_environment_would_overrule_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"REDIS_URL.*host"):
        create_conversation_store(host="127.0.0.1")
