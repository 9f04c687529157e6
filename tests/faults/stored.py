"""What really lies in the servers in the end."""

import json
from collections.abc import Iterable
from typing import cast

from redis import Redis

from jv_session_mw.cli.server import HOST
from tests.servers import RedisServer

LOG = b":m"


def logs_of(servers: Iterable[RedisServer]) -> dict[str, list[str]]:
    """Return the contents of the messages of every conversation in *servers*, by its id."""
    found: dict[str, list[str]] = {}
    for server in servers:
        client = Redis(host=HOST, port=server.port, protocol=2)
        for name in cast("list[bytes]", client.keys("conv:{*}:m")):  # pyright: ignore[reportUnknownMemberType]
            id = name.removeprefix(b"conv:{").removesuffix(b"}:m").decode()
            elements = cast("list[bytes]", client.lrange(name.decode(), 0, -1))
            found[id] = [_content(element) for element in elements]
        client.close()
    return found


def _content(element: bytes) -> str:
    """Return what the message says that is stored as `<number>:j1;<JSON>`."""
    content: str = json.loads(element.partition(b";")[2])["content"]
    return content
