"""A ledger in a Supabase project: each call is one call of a function in the database."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any, TypeVar

import httpx
import msgspec
from postgrest import APIError, APIResponse
from supabase import AsyncClient, AsyncClientOptions

from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.tracking.activity import Item
from jv_session_mw.tracking.keys import NOBODY, Key
from jv_session_mw.tracking.ledger import Answer, BadItems, Fields, Query
from jv_session_mw.tracking.session import ChatSession, Swept, Transition
from jv_session_mw.tracking.supabase.failures import failure_of, misread

T = TypeVar("T")

SHARE_TO_CONNECT = 0.4  # of the time for one request
SWEPT_AT_ONCE = 1_000


class Kept(msgspec.Struct):
    """What is kept of a conversation, as it was written."""

    snapshot: dict[str, Any] | None


class SupabaseLedger:
    """Calls the functions of the migrations; each is one request and one transaction.

    It makes a client of its own, because signing a user in on a shared one would replace the key of
    the service role; one in each event loop that uses it. Tables are never read directly, so that
    only PostgREST's calls of functions are relied on.

    A call that nobody waits for any longer goes on until its own time-outs: for each one that is
    cancelled, httpcore 1.0 may lose a place in its pool for good.
    """

    name = "supabase"

    def __init__(self, url: str, key: str, client: AsyncClient | None, seconds: float) -> None:
        self._url = url
        self._key = key
        self._given = client
        self._seconds = seconds
        self._client = client
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: set[asyncio.Task[APIResponse]] = set()

    async def open(self) -> None:
        """Make the client; no request is sent."""
        self._connected()

    async def close(self) -> None:
        """Close the client that was made here, never one that was handed in.

        One of another event loop is left alone: its connections can only be closed there.
        """
        http, self._http, self._client = self._http, None, self._given
        if http is None or self._loop is not asyncio.get_running_loop():
            return
        for call in (calls := self._calls.copy()):
            call.cancel()
        if calls:
            await asyncio.wait(calls)
        await http.aclose()

    async def apply(self, batch: str, items: Sequence[Item]) -> list[int]:
        return await self._call(
            list[int], "chat_sessions_apply", p_batch=batch, p_items=list(items)
        )

    async def get(self, key: Key) -> ChatSession | None:
        return (await self._change("chat_session_get", **_named(key))).session

    async def page(self, query: Query) -> list[ChatSession]:
        at, before = query.after or (None, None)
        found = await self._ask(
            list[ChatSession],
            "chat_sessions_page",
            p_owner=query.owner,
            p_status=sorted(query.status),
            p_kind=query.kind,
            p_refs=query.refs,
            p_search=query.search,
            p_at=at and at.isoformat(),
            p_before=before,
            p_limit=query.limit,
        )
        return [_told(session) for session in found]

    async def create(self, key: Key, fields: Fields) -> Answer:
        return await self._save(key, fields, create=True)

    async def update(self, key: Key, fields: Fields) -> Answer:
        return await self._save(key, fields, create=False)

    async def transition(self, key: Key, transition: Transition) -> Answer:
        return await self._change(
            "chat_session_transition",
            **_named(key),
            p_to=transition.to,
            p_from=sorted(transition.origins),
        )

    async def record(
        self, key: Key, event_id: str, counters: Mapping[str, int], fields: Fields
    ) -> Answer:
        return await self._change(
            "chat_session_record",
            **_named(key),
            p_event=event_id,
            p_counters=counters,
            p_step=fields.step,
            p_refs=fields.refs,
        )

    async def delete(self, key: Key) -> bool:
        return await self._ask(bool, "chat_session_delete", **_named(key))

    async def delete_owner(self, owner: str) -> list[str]:
        return await self._ask(list[str], "chat_sessions_delete_owner", p_owner=owner)

    async def sweep(
        self, pause_after: float | None, archive_after: float | None, delete_after: float | None
    ) -> Swept:
        return await self._ask(
            Swept,
            "chat_sessions_sweep",
            p_pause_after=pause_after,
            p_archive_after=archive_after,
            p_delete_after=delete_after,
            p_limit=SWEPT_AT_ONCE,
        )

    async def snapshot(self, key: Key) -> dict[str, Any] | None:
        return (await self._ask(Kept, "chat_session_snapshot", **_named(key))).snapshot

    async def _save(self, key: Key, fields: Fields, *, create: bool) -> Answer:
        return await self._change(
            "chat_session_save",
            **_named(key),
            p_create=create,
            p_title=fields.title,
            p_kind=fields.kind,
            p_step=fields.step,
            p_refs=fields.refs,
        )

    async def _change(self, function: str, **arguments: object) -> Answer:
        answer = await self._ask(Answer, function, **arguments)
        session = answer.session
        return Answer(session and _told(session), answer.done)

    async def _ask(self, kind: type[T], function: str, **arguments: object) -> T:
        """Call *function* for one caller, to whom the value that is refused belongs."""
        try:
            return await self._call(kind, function, **arguments)
        except BadItems as error:
            raise UnsupportedValue("what was given", str(error)) from error

    async def _call(self, kind: type[T], function: str, **arguments: object) -> T:
        """Return what *function* answers, as a *kind*."""
        call = self._begin(function, arguments)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await asyncio.shield(call)
        except TimeoutError as error:
            raise failure_of(httpx.ReadTimeout("")) from error
        except (APIError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure_of(error) from error
        except (ValueError, TypeError, RecursionError) as error:
            if _is_json(arguments):  # it was sent, and may be done: the answer cannot be read
                raise misread("") from error
            raise BadItems("it cannot be sent as JSON") from error
        try:
            return msgspec.convert(answer.data, kind)
        except msgspec.ValidationError as error:
            raise misread(answer.data) from error

    def _begin(self, function: str, arguments: dict[str, object]) -> "asyncio.Task[APIResponse]":
        call = asyncio.create_task(self._connected().rpc(function, arguments).execute())
        self._calls.add(call)
        call.add_done_callback(self._end)
        return call

    def _end(self, call: "asyncio.Task[APIResponse]") -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # perhaps nobody else asks for it

    def _connected(self) -> AsyncClient:
        """Return the client of this event loop. Nothing is awaited, so that two calls make one."""
        loop = asyncio.get_running_loop()
        if self._given is not None:
            return self._given
        if self._client is None or self._loop is not loop:
            self._loop, self._calls = loop, set()
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(self._seconds, connect=SHARE_TO_CONNECT * self._seconds),
                event_hooks={"response": [raise_for_status]},
            )
            options = AsyncClientOptions(
                httpx_client=self._http, auto_refresh_token=False, persist_session=False
            )
            self._client = AsyncClient(self._url, self._key, options)
        return self._client


async def raise_for_status(response: httpx.Response) -> None:
    """Raise an error that carries the status, which the client's own error does not."""
    if response.is_error:
        await response.aread()
        response.raise_for_status()


def _is_json(arguments: object) -> bool:
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _told(session: ChatSession) -> ChatSession:
    """Return *session* as a tracker returns it: without the empty owner, and with times in UTC."""
    ended_at = session.ended_at
    return replace(
        session,
        owner=None if session.owner == NOBODY else session.owner,
        started_at=session.started_at.astimezone(UTC),
        last_activity_at=session.last_activity_at.astimezone(UTC),
        ended_at=ended_at and ended_at.astimezone(UTC),
    )


def _named(key: Key) -> dict[str, str]:
    return {"p_owner": key[0], "p_id": key[1]}
