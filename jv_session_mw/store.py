"""ConversationStore: the one door to state."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Generic, Self

from opentelemetry import context
from typing_extensions import TypeVar

from jv_session_mw.backends.base import Backend
from jv_session_mw.changes import Rules
from jv_session_mw.channel import WHOLE_LOG, Channel
from jv_session_mw.codec import Codec
from jv_session_mw.condition import Condition
from jv_session_mw.conversation import Conversation
from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import (
    ConversationConflict,
    ConversationGone,
    StoreUnavailable,
    UnsupportedValue,
)
from jv_session_mw.health import StoreHealth
from jv_session_mw.inflight import InFlight
from jv_session_mw.keys import decode_key, encode_key
from jv_session_mw.message_cache import MessageCache
from jv_session_mw.plain import PlainView
from jv_session_mw.state.kind import StateKind
from jv_session_mw.telemetry import Telemetry
from jv_session_mw.terms import Terms
from jv_session_mw.turns import Turns

S = TypeVar("S", default=dict[str, Any])

DRAIN_SECONDS = 5.0
AT_ONCE = 64


class ConversationStore(Generic[S]):
    """Opens conversations over a backend; use `RedisConversationStore` or its sibling in memory.

    Besides `open()` it keeps plain dicts under plain ids: `get`, `set`, `has`, `delete`,
    `refresh_ttl`, `keys`, `size`, `clear`. Every call to the backend is bounded by *deadline*
    seconds, and is one span. `StoreUnavailable` is raised only without a fallback, or for what no
    fallback can know.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        telemetry: Telemetry,
        codec: Codec,
        kind: StateKind[S],
        rules: Rules,
        window: int,
        deadline: float,
        messages_key: str,
    ) -> None:
        self.telemetry = telemetry
        self.deadline = deadline
        self.rules = rules
        self.inflight = InFlight()
        self._backend = backend
        self._plain = PlainView(codec, messages_key)
        cache = MessageCache(codec)
        turns = Turns(self.inflight, deadline)
        self._terms = Terms(
            backend, telemetry, self.inflight, turns, codec, cache, kind, rules, window, deadline
        )
        telemetry.watch(self)

    async def initialize(self) -> None:
        """Connect and load the scripts, so that the first request does not pay for it.

        Never fails because the server is away: that is one warning, and the fallback serves.
        """
        try:
            await self._backend.open(self.deadline)
        except StoreUnavailable:
            return

    async def close(self) -> None:
        """Wait for the commits in flight, then close what this store opened."""
        await self.inflight.drain(DRAIN_SECONDS)
        await self._backend.close()

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def open(self, id: str, *, owner: str | None = None) -> AsyncGenerator[Conversation[S]]:
        """Load the conversation *id* outside of a request, and save it at the end of the block.

        An exception discards what was not saved. A cancellation does not, as somebody may have
        seen part of it. Raises `ConversationGone` for one that was deleted less than a TTL ago,
        `UnreadableConversation`, and at the end what `Conversation.save()` raises.
        """
        conversation = self.conversation(id, owner)
        await conversation.load()
        if not conversation.known:  # the load has found a tombstone
            raise ConversationGone
        try:
            yield conversation
        except Exception:
            conversation.discard()
            raise
        finally:
            conversation.interrupt_replies()
            try:
                if not conversation.deleted:
                    await self.inflight.outlive(conversation.save())
            finally:
                conversation.is_over = True
                if conversation.held_turn is not None:
                    await self.inflight.outlive(conversation.end_turn())

    def conversation(self, id: str | None, owner: str | None = None) -> Conversation[S]:
        """Return the handle of a conversation that is not loaded yet; None is a new one."""
        return Conversation(id, owner, self._terms, context.get_current())

    async def get(self, id: str, *, owner: str | None = None) -> dict[str, Any] | None:
        """Return the whole conversation as one dict, or None.

        Raises `StoreUnavailable` while the store is away and memory has only a part of it.
        """
        snapshot = await self._channel(id, owner).load_whole(self._new_deadline())
        return self._plain.read(snapshot) if snapshot.version else None

    async def set(self, id: str, value: dict[str, Any], *, owner: str | None = None) -> None:
        """Make *value* what is stored: created, replaced, or brought back after a delete.

        Only the difference is written. Raises `UnsupportedValue` and `ConversationConflict`.
        """
        if not isinstance(value, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnsupportedValue("the conversation", "give a dict")
        channel, deadline = self._channel(id, owner), self._new_deadline()
        while True:  # again when somebody else has deleted it or begun it anew in between
            stored = await channel.load(WHOLE_LOG, deadline)
            changes = self._plain.difference(stored, value)
            if stored.version and changes.empty():
                await channel.touch(deadline)
                return
            outcome = await channel.commit(changes, deadline)
            if outcome.status == "conflict":
                raise ConversationConflict(outcome.conflicts)
            if outcome.status == "committed":
                return

    async def has(self, id: str, *, owner: str | None = None) -> bool:
        """Say whether it is stored, without loading it."""
        return await self._channel(id, owner).has(self._new_deadline())

    async def delete(self, id: str, *, owner: str | None = None) -> bool:
        """Delete it for good, and say whether there was one."""
        return await self._channel(id, owner).delete(self._new_deadline())

    async def refresh_ttl(self, id: str, *, owner: str | None = None) -> bool:
        """Slide the TTL, and say whether there was anything to keep."""
        return await self._channel(id, owner).touch(self._new_deadline()) > 0

    async def keys(self, *, owner: str | None = None) -> list[str]:
        """Return the ids of *owner*'s conversations, or of those without an owner.

        An id of more than 200 bytes comes back as its hash, which opens nothing. This scans the
        whole database: it is for administration, not for requests.
        """
        in_keys = decode_key(encode_key("", owner))[1]  # a long one is a hash there
        found = [decode_key(key) for key in await self._keys()]
        return [id for id, of in found if of == in_keys]

    async def size(self) -> int:
        """Return the number of conversations of all owners. This scans the whole database."""
        return len(await self._keys())

    async def clear(self) -> int:
        """Delete every conversation of this prefix, and return how many there were."""
        keys = await self._keys()
        for at in range(0, len(keys), AT_ONCE):
            batch = [self._channel_of(key) for key in keys[at : at + AT_ONCE]]
            await asyncio.gather(*(channel.delete(self._new_deadline()) for channel in batch))
        return len(keys)

    async def get_health(self) -> StoreHealth:
        """Ping, within the deadline, and report."""
        started = time.perf_counter()
        latency_ms: float | None = None
        failure: str | None = None
        try:
            await self._backend.ping(self.deadline)
            latency_ms = (time.perf_counter() - started) * 1000
        except StoreUnavailable as error:
            failure = str(error)
        condition = self._backend.condition()
        return StoreHealth(
            connected=failure is None,
            latency_ms=latency_ms,
            using_fallback=condition.degraded,
            last_error=failure or condition.last_error,
            in_memory=condition.in_memory,
            to_replay=condition.to_replay,
            replay_conflicts=condition.replay_conflicts,
        )

    def condition(self) -> Condition:
        """Say how the store is, by what the last calls saw: the server is not asked."""
        return self._backend.condition()

    async def _keys(self) -> list[str]:
        with self.telemetry.call("keys", "", context.get_current(), self._new_deadline()) as call:
            keys = await self._backend.keys(self.deadline)
            call.result = "hit" if keys else "miss"
        return keys

    def _new_deadline(self) -> Deadline:
        return Deadline(self.deadline)

    def _channel(self, id: str, owner: str | None) -> Channel:
        if not isinstance(id, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnsupportedValue("the id", "give a string")
        return self._terms.channel(id, owner, context.get_current())

    def _channel_of(self, key: str) -> Channel:
        """Return the channel of *key*, which may hold a hash in place of a long id."""
        id, owner = decode_key(key)
        return Channel(self._backend, self.telemetry, context.get_current(), id, key, owner=owner)
