"""The application that a benchmarked server serves, made inside its own event loop."""

import os

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.benchmarks.contenders import Contender
from tests.benchmarks.makers import MAKERS
from tests.benchmarks.work import bare


class Lazily:
    """Makes the contender when the server starts; a connection belongs to its event loop."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._port = port
        self._contender: Contender | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            assert self._contender is not None
            await self._contender.app(scope, receive, send)
            return
        await receive()
        self._contender = await MAKERS[self._name](self._port)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._contender.close()
        await send({"type": "lifespan.shutdown.complete"})


def app() -> ASGIApp:
    name, port = os.environ["BENCHMARK_CONTENDER"], int(os.environ["BENCHMARK_REDIS"])
    return bare if name == "bare" else Lazily(name, port)
