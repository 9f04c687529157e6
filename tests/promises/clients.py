"""Clients that behave like a browser (cookie) or like an API program (header)."""

import http.client
import json
import socket
import struct
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, NamedTuple, TypeAlias, cast

import httpx
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from jv_session_mw.cli.server import HOST

Way: TypeAlias = Literal["cookie", "header"]
WAYS: tuple[Way, ...] = ("cookie", "header")
COOKIE = "__Host-conversation"
HEADER = "X-Conversation-ID"
SECONDS = 20.0


class Answer(NamedTuple):
    """A response that has been read to its last byte."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> object:
        found: object = json.loads(self.body)
        return found

    @property
    def fields(self) -> dict[str, object]:
        """The members of a JSON object."""
        found = self.json
        assert isinstance(found, dict)
        return cast("dict[str, object]", found)

    def all(self, name: str) -> list[str]:
        """Return every value of the header *name*, in lower case."""
        return [value for found, value in self.headers if found.lower() == name]


class Ticket:
    """What a client remembers of its conversation, and how it presents it."""

    def __init__(self, way: Way = "cookie") -> None:
        self.way: Way = way
        self.token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        if self.token is None:
            return {}
        if self.way == "header":
            return {HEADER: self.token}
        return {"Cookie": f"theme=dark; {COOKIE}={self.token}"}

    def learn(self, headers: Iterable[tuple[str, str]]) -> None:
        """Take the token that a response hands out or takes away."""
        for name, value in headers:
            if self.way == "header" and name.lower() == HEADER.lower():
                self.token = value
            if self.way == "cookie" and name.lower() == "set-cookie":
                pair = value.partition(";")[0]
                self.token = pair.removeprefix(f"{COOKIE}=") or None


class Visitor:
    """One client of a server process, on one connection that it keeps alive."""

    def __init__(self, port: int, way: Way = "cookie") -> None:
        self.ticket = Ticket(way)
        self.port = port
        self._connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)

    def ask(self, method: str, path: str) -> Answer:
        """Send a request, read the whole response, and remember the token."""
        self._connection.request(method, path, headers=self.ticket.headers)
        response = self._connection.getresponse()
        answer = Answer(response.status, response.getheaders(), response.read())
        self.ticket.learn(answer.headers)
        return answer

    def read(self) -> dict[str, object]:
        """Return what is stored."""
        answer = self.ask("GET", "/read")
        assert answer.status == 200, answer
        return answer.fields

    def turn(self, place: str, mark: str) -> Answer:
        """Let the app change the conversation in *place*."""
        answer = self.ask("POST", f"/{place}?mark={mark}")
        assert answer.status == 200, answer
        return answer

    def close(self) -> None:
        self._connection.close()

    def hang_up(self, path: str, after: bytes, *, reset: bool = False) -> None:
        """Post, and close the socket as soon as *after* has been received."""
        with self.streaming(path, after) as connection:
            if reset:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    @contextmanager
    def streaming(self, path: str, until: bytes) -> Generator[socket.socket]:
        """Post, receive the response up to *until*, and leave it open for the block."""
        with socket.create_connection((HOST, self.port), timeout=SECONDS) as connection:
            lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", "Content-Length: 0"]
            lines += [f"{name}: {value}" for name, value in self.ticket.headers.items()]
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            received = b""
            while until not in received:
                part = connection.recv(65536)
                assert part, f"the response ended before {until!r}: {received!r}"
                received += part
            self.ticket.learn(_headers(received))
            yield connection

    @contextmanager
    def socket(self) -> Generator[Connection]:
        """Open the WebSocket, and remember the token of its handshake."""
        url = f"ws://{HOST}:{self.port}/socket"
        with connect(url, additional_headers=self.ticket.headers, proxy=None) as websocket:
            assert websocket.response is not None  # pyright: ignore[reportAttributeAccessIssue]
            self.ticket.learn(websocket.response.headers.raw_items())
            yield websocket


class AsyncVisitor:
    """One client of a server in this event loop, or of an app without any server."""

    def __init__(self, client: httpx.AsyncClient, way: Way = "cookie") -> None:
        self.ticket = Ticket(way)
        self._client = client

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, way: Way = "cookie") -> "AsyncGenerator[AsyncVisitor]":
        """Be a client of the server at *url* for the length of a block."""
        async with httpx.AsyncClient(base_url=url, timeout=SECONDS, trust_env=False) as client:
            yield cls(client, way)

    def twin(self) -> "AsyncVisitor":
        """Return a client with the same token, such as another tab of the same browser."""
        twin = AsyncVisitor(self._client, self.ticket.way)
        twin.ticket.token = self.ticket.token
        return twin

    def stranger(self) -> "AsyncVisitor":
        """Return a client that knows nothing yet."""
        return AsyncVisitor(self._client, self.ticket.way)

    async def ask(self, method: str, path: str) -> Answer:
        response = await self._client.request(method, path, headers=self.ticket.headers)
        self._client.cookies.clear()  # the ticket is the one that remembers
        answer = Answer(response.status_code, response.headers.multi_items(), response.content)
        self.ticket.learn(answer.headers)
        return answer

    async def read(self) -> dict[str, object]:
        answer = await self.ask("GET", "/read")
        assert answer.status == 200, answer
        return answer.fields

    async def turn(self, place: str, mark: str) -> Answer:
        answer = await self.ask("POST", f"/{place}?mark={mark}")
        assert answer.status == 200, answer
        return answer


def _headers(received: bytes) -> list[tuple[str, str]]:
    lines = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return [(name.strip(), value.strip()) for name, _, value in pairs]
