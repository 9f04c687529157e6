"""A gateway to a real PostgreSQL that speaks what the Supabase client emits of PostgREST.

No PostgREST can be had from a package index, so this does what its documentation says of functions,
of plain reads and writes, of roles and of errors. Each request is one transaction.
Source: PostgREST 12, "Transactions", "Functions as RPC", "Errors", "Schema Cache".
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.promises.serving import serving

SECRET = "the secret of the project's tokens, only for tests"
EXPOSED = "public"
CLAIMS = "request.jwt.claims"

# SQLSTATE classes to statuses; what is not here is 400. Source: PostgREST, "Errors".
STATUSES = {"08": 503, "23": 409, "25": 500, "28": 403, "40": 500, "53": 503, "54": 500, "57": 500,
            "XX": 500, "42883": 404, "42P01": 404, "42501": 403, "23502": 400}  # fmt: skip

Interfere = Callable[[Request], Response | None]


class Refusal(NamedTuple):
    """An error as PostgREST puts it."""

    status: int
    code: str
    message: str

    def response(self) -> Response:
        body = {"code": self.code, "message": self.message, "details": None, "hint": None}
        return JSONResponse(body, self.status)


def key_of(role: str, **claims: object) -> str:
    """Return the key or token of a role: `anon`, `service_role`, `authenticated` with a `sub`."""
    return jwt.encode({"role": role, **claims}, SECRET, "HS256")


class Gateway:
    """The API of one database. `calls` counts the requests by function or table.

    `interfere` may answer in place of the database; while `may_answer` is not set, nothing does.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._known: dict[str, dict[str, str]] = {}
        self._reloading: set[asyncio.Task[None]] = set()
        self.url = ""
        self.calls: dict[str, int] = {}
        self.interfere: Interfere = lambda _: None
        self.keeps_alive = True
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.app = Starlette(
            routes=[
                Route("/rest/v1/rpc/{name}", self._function, methods=["POST"]),
                Route("/rest/v1/{name}", self._table, methods=["GET", "POST", "PATCH", "DELETE"]),
            ]
        )

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Gateway"]:
        """Serve at `url`, and look anew at the schema whenever the database says so."""
        listener = await asyncpg.connect(self._url)
        async with asyncpg.create_pool(self._url, min_size=1, max_size=10) as self._pool:
            await self._learn()
            await listener.add_listener("pgrst", self._notified)
            async with serving(self.app) as self.url:
                yield self
            self.may_answer.set()
            await listener.close()

    def _notified(self, *_: object) -> None:
        task = asyncio.create_task(self._learn())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _learn(self) -> None:
        """Fill the schema cache: the functions and tables that are exposed, and their types."""
        assert self._pool is not None
        functions = await self._pool.fetch(
            "select p.proname, p.proargnames, array(select format_type(t, null) from"
            " unnest(p.proargtypes) with ordinality u(t, n) order by n) as types"
            " from pg_proc p where p.pronamespace = $1::regnamespace",
            EXPOSED,
        )
        tables = await self._pool.fetch(
            "select c.relname, array_agg(a.attname), array_agg(format_type(a.atttypid, null))"
            " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relnamespace = $1::regnamespace and c.relkind = 'r' group by 1",
            EXPOSED,
        )
        self._known = {
            **{f"{row[0]}()": dict(zip(row[1] or (), row[2], strict=False)) for row in functions},
            **{row[0]: dict(zip(row[1], row[2], strict=True)) for row in tables},
        }

    async def _function(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = await request.body()
        try:
            arguments = json.loads(body)
        except ValueError:
            return Refusal(400, "PGRST102", "invalid JSON").response()
        types = self._known.get(f"{name}()")
        if types is None or types.keys() != arguments.keys():
            return Refusal(404, "PGRST202", f"no function {name}").response()
        given = ", ".join(f"{argument} => (select {argument} from i)" for argument in arguments)
        columns = ", ".join(f"{argument} {type}" for argument, type in types.items())
        if not types:
            return await self._answer(request, name, f"select to_json(public.{name}())")
        source = f"with i as (select * from json_to_record($1::json) as i({columns}))"
        statement = f"{source} select to_json(public.{name}({given}))"
        return await self._answer(request, name, statement, body.decode())

    async def _table(self, request: Request) -> Response:
        name, conditions = request.path_params["name"], list[str]()
        values: list[str] = []
        types = self._known.get(name)
        if types is None:
            return Refusal(404, "PGRST205", f"no table {name}").response()
        for column, condition in request.query_params.items():
            if column in ("select", "columns"):
                continue
            operator, _, value = condition.partition(".")
            assert operator == "eq", f"this gateway does not know {condition}"
            values.append(value)
            conditions.append(f"{column} = ${len(values)}::text::{types[column]}")
        where = f" where {' and '.join(conditions)}" if conditions else ""
        if request.method == "GET":
            chosen = request.query_params.get("select", "*")
            statement = f"select {chosen} from public.{name}{where}"
        elif request.method == "DELETE":
            statement = f"delete from public.{name}{where} returning *"
        else:
            row: dict[str, Any] = json.loads(await request.body())
            values.append(json.dumps(row))
            chosen = f"json_populate_record(null::public.{name}, ${len(values)}::json)"
            columns = ", ".join(row)
            source = f"(select {columns} from {chosen})"
            statement = f"update public.{name} set ({columns}) = {source}{where} returning *"
            if request.method == "POST":
                statement = f"insert into public.{name} ({columns}) {source[1:-1]} returning *"
        rows = f"with r as ({statement}) select coalesce(json_agg(r), '[]') as answer from r"
        return await self._answer(request, name, rows, *values)

    async def _answer(self, request: Request, name: str, statement: str, *values: str) -> Response:
        self.calls[name] = self.calls.get(name, 0) + 1
        answer = self.interfere(request)
        if answer is not None:
            return answer
        if not self.may_answer.is_set():
            await self.may_answer.wait()
        try:
            claims = _claims(request.headers)
        except jwt.ExpiredSignatureError:
            return Refusal(401, "PGRST303", "JWT expired").response()
        except jwt.InvalidTokenError:
            return Refusal(401, "PGRST301", "JWT cannot be decoded").response()
        assert self._pool is not None
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                for setting, value in (("role", claims["role"]), (CLAIMS, json.dumps(claims))):
                    await connection.execute("select set_config($1, $2, true)", setting, value)
                found = await connection.fetchval(statement, *values)
        except asyncpg.PostgresError as error:
            state = error.sqlstate or "XX000"
            status = STATUSES.get(state, STATUSES.get(state[:2], 400))
            return Refusal(status, state, str(error)).response()
        except (OSError, asyncpg.InterfaceError):
            return Refusal(503, "PGRST000", "no connection to the database").response()
        headers = {} if self.keeps_alive else {"connection": "close"}
        return Response(found or "null", headers=headers, media_type="application/json")


def _claims(headers: Mapping[str, str]) -> dict[str, Any]:
    token = headers.get("authorization", "").removeprefix("Bearer ")
    claims: dict[str, Any] = jwt.decode(token, SECRET, ["HS256"])
    return claims
