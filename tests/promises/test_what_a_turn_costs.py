"""What a request costs, counted and not timed: commands, round trips, bytes, codec calls, spans."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from types import CoroutineType
from typing import cast

import pytest
from redis import Redis
from starlette.types import Receive, Send

from jv_session_mw import Conversation, RedisConversationStore
from jv_session_mw.codec import JsonCodec
from jv_session_mw.ids import TokenSigner
from tests.promises.apps import KEYS
from tests.promises.raw import Exchange, around, body, start
from tests.promises.recording import Recorder
from tests.round_trips import count_round_trips
from tests.servers import RedisServer

WINDOW = 50
SIZES = [2, 10, 100, 1_000, 10_000]
FIELDS = 3
NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


class CountingCodec(JsonCodec):
    """The store's own codec, and how many values went through it."""

    def __init__(self) -> None:
        self.encoded = 0
        self.decoded = 0

    def encode(self, value: object, where: str) -> bytes:
        self.encoded += 1
        return super().encode(value, where)

    def decode(self, data: bytes, where: str) -> object:
        self.decoded += 1
        return super().decode(data, where)

    def decode_all(self, items: Sequence[bytes], where: Callable[[int], str]) -> list[object]:
        self.decoded += len(items)
        return super().decode_all(items, where)

    def unchanged(self, value: object, data: bytes) -> bool:
        self.encoded += 1
        return super().unchanged(value, data)


class Books:
    """A store whose every expense is written down, and one of another process."""

    def __init__(self, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recorder = Recorder()
        self.codec = CountingCodec()
        self.store = RedisConversationStore(
            url=server.url,
            codec=self.codec,
            deadline=10.0,
            connect_timeout=10.0,
            tracer_provider=self.recorder.tracer_provider,
        )
        self.elsewhere = RedisConversationStore(url=server.url, deadline=10.0, connect_timeout=10.0)
        self._server = Redis(host="127.0.0.1", port=server.port, protocol=2)
        self._trips = count_round_trips(monkeypatch)

    async def hold(self, size: int, **fields: object) -> str:
        """Store a conversation of *size* messages, and return the token of its client."""
        state = {"topic": "flights", "step": 1, "seen": None, **fields}
        for end in range(min(size, 500), size + 500, 500):
            log = [{"role": "user", "content": f"{at:265}"} for at in range(min(end, size))]
            await self.elsewhere.set("id", {**state, "messages": log})
        return TokenSigner(KEYS, purpose="conversation").sign("id")

    async def expenses(
        self, handler: Callable[[Conversation], object], token: str | None
    ) -> Counter[str]:
        """Make one request, and return what it took."""

        async def app(conversation: Conversation, receive: Receive, send: Send) -> None:
            handler(conversation)
            await send(start(200, 2))
            await send(body(b"ok"))

        headers = {} if token is None else {"X-Conversation-ID": token}
        before = self._counters()
        itself = self._counters() - before
        exchange = await Exchange(headers=headers).run(around(app, self.store))
        assert exchange.status == 200
        return self._counters() - before - itself - itself

    def close(self) -> None:
        self._server.close()

    def _info(self, section: str) -> object:
        found = self._server.info(section)  # pyright: ignore[reportUnknownMemberType]
        return cast("object", found)

    def _counters(self) -> Counter[str]:
        stats = cast("dict[str, int]", self._info("stats"))
        calls = cast("dict[str, dict[str, int]]", self._info("commandstats"))
        return Counter(
            {
                "bytes": stats["total_net_input_bytes"],
                "scripts": calls.get("cmdstat_evalsha", {"calls": 0})["calls"],
                "round trips": self._trips.count,
                "encoded": self.codec.encoded,
                "decoded": self.codec.decoded,
                "spans": len(self.recorder.ours()),
            }
        )


@pytest.fixture
async def books(valkey: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Books]:
    books = Books(valkey, monkeypatch)
    await books.store.initialize()
    yield books
    await books.store.close()
    await books.elsewhere.close()
    books.close()


def turn(conversation: Conversation) -> None:
    conversation.messages.append({"role": "user", "content": "x" * 265})
    conversation.messages.append({"role": "assistant", "content": "x" * 265})
    conversation.state["step"] += 1


def look(conversation: Conversation) -> None:
    assert conversation.state["topic"] == "flights"
    assert [message["role"] for message in conversation.messages]


def nothing(conversation: Conversation) -> None:
    pass


@pytest.mark.parametrize("size", SIZES)
async def test_a_turn_is_two_commands_however_long_the_conversation(
    books: Books, size: int
) -> None:
    token = await books.hold(size)
    spent = await books.expenses(turn, token)
    assert (spent["scripts"], spent["round trips"], spent["spans"]) == (2, 2, 2)
    assert spent["encoded"] == 3  # two messages and one field
    assert spent["decoded"] == min(size, WINDOW) + FIELDS


@pytest.mark.parametrize("size", SIZES)
async def test_a_read_is_one_command_and_encodes_nothing(books: Books, size: int) -> None:
    token = await books.hold(size)
    spent = await books.expenses(look, token)
    assert (spent["scripts"], spent["round trips"], spent["spans"]) == (1, 1, 1)
    assert spent["encoded"] == 0
    assert spent["decoded"] == min(size, WINDOW) + FIELDS


async def test_a_message_of_texts_is_decoded_twice_at_most(books: Books) -> None:
    token = await books.hold(1_000)
    decoded = [
        (await books.expenses(handler, token))["decoded"] - FIELDS
        for handler in (turn, look, look, look, turn, turn)
    ]
    assert decoded == [WINDOW, WINDOW, 2, 0, 0, 0]  # the second turn says what the first one said


async def test_what_is_looked_at_and_stays_is_not_encoded(books: Books) -> None:
    token = await books.hold(100)

    def look_and_turn(conversation: Conversation) -> None:
        look(conversation)
        turn(conversation)

    for _ in range(2):
        assert (await books.expenses(look_and_turn, token))["encoded"] == 3


async def test_messages_with_a_date_cost_what_those_of_texts_cost(books: Books) -> None:
    token = await books.hold(0, began=NOW)
    async with books.elsewhere.open("id") as held:
        held.messages += [{"role": "user", "content": f"{at}", "at": NOW} for at in range(WINDOW)]
    spent = [await books.expenses(handler, token) for handler in (look, look, look, turn)]
    assert [each["encoded"] for each in spent] == [0, 0, 0, 3]
    assert [each["decoded"] > WINDOW for each in spent] == [True, True, False, False]


async def test_only_what_was_changed_among_the_messages_is_encoded(books: Books) -> None:
    token = await books.hold(100)
    spent = await books.expenses(
        lambda conversation: conversation.messages[-2].update(content="mended"), token
    )
    assert spent["encoded"] == 1


async def test_what_is_not_touched_is_not_decoded(books: Books) -> None:
    token = await books.hold(100)
    assert (await books.expenses(nothing, token))["decoded"] == 0
    only_state = await books.expenses(lambda conversation: bool(conversation.state), token)
    assert only_state["decoded"] == FIELDS
    only_messages = await books.expenses(lambda conversation: len(conversation.messages), token)
    assert only_messages["decoded"] == WINDOW


async def test_a_field_that_stays_is_not_encoded_beside_one_that_changes(books: Books) -> None:
    token = await books.hold(2, large=["x"] * 1_000, nested={"deep": [1, 2.5, True]})
    spent = await books.expenses(lambda conversation: conversation.state.update(step=2), token)
    assert spent["encoded"] == 1


async def test_a_visitor_without_a_token_costs_nothing(books: Books) -> None:
    assert not +(await books.expenses(nothing, None))


async def test_a_chunk_is_given_to_the_server_without_a_step_in_between(books: Books) -> None:
    exchange = Exchange()
    chunk = body(b"token ", more=True)

    async def app(conversation: Conversation, receive: Receive, send: Send) -> None:
        await send(start())
        sending = cast("CoroutineType[object, object, None]", send(chunk))
        assert sending.cr_code is Exchange.send.__code__
        await sending
        await send(body())

    await exchange.run(around(app, books.store))
    assert exchange.sent[1] is chunk


@pytest.mark.parametrize("length", [20, 300, 3_000])
@pytest.mark.parametrize("size", [2, 1_000])
async def test_the_bytes_of_a_turn_are_those_that_changed(
    books: Books, size: int, length: int
) -> None:
    token = await books.hold(size)
    text = "x" * length

    def say(conversation: Conversation) -> None:
        conversation.messages.append({"role": "user", "content": text})
        conversation.messages.append({"role": "assistant", "content": text})
        conversation.state["step"] += 1

    spent = await books.expenses(say, token)
    changed = 2 * length + len('{"role":"user","content":""}{"role":"assistant","content":""}2')
    assert changed < spent["bytes"] <= max(1.5 * changed + 300, changed + 400)
