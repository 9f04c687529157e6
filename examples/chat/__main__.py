"""Serve the chat at http://127.0.0.1:8000, with a throw-away Valkey unless `REDIS_URL` is set.

`PORT` sets another port. Ctrl-C or SIGTERM ends everything that was started.
"""

import logging
import os
import secrets
import signal
import socket
import sys
from contextlib import ExitStack

import uvicorn
from fastapi import FastAPI

from examples.chat.app import create_app
from jv_session_mw import SessionError
from jv_session_mw.cli.ephemeral import ephemeral

HOST = "127.0.0.1"


class AnnouncingServer(uvicorn.Server):
    """Prints where it is as soon as it serves."""

    def __init__(self, app: FastAPI, announcement: str) -> None:
        # "on": an error at start ends it, where by default every request would fail. An answer that
        # is under way may take three seconds more; then it is cut off, and kept as it is.
        super().__init__(
            uvicorn.Config(app, lifespan="on", log_level="warning", timeout_graceful_shutdown=3)
        )
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._announcement, flush=True)


def main() -> None:
    """Run until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: `with` blocks end
    logging.basicConfig(format="%(levelname)s %(message)s")
    logging.getLogger("jv_session_mw").setLevel(logging.INFO)
    try:
        with ExitStack() as stack:
            listener = stack.enter_context(listen(os.environ.get("PORT") or "8000"))
            if os.environ.get("REDIS_URL"):
                redis_url, behind = None, "the server at REDIS_URL"
            else:
                valkey = stack.enter_context(ephemeral())
                redis_url, behind = valkey.url, f"a {valkey.version} (pid {valkey.pid})"
            has_keys = os.environ.get("JV_SESSION_SECRET_KEYS")
            secret_keys = None if has_keys else [secrets.token_urlsafe(32)]
            app = create_app(redis_url=redis_url, secret_keys=secret_keys)
            port = listener.getsockname()[1]
            line = f"Chat at http://{HOST}:{port} with {behind}; Ctrl-C ends it"
            AnnouncingServer(app, line).run(sockets=[listener])
    except SessionError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


def listen(port: str) -> socket.socket:
    """Return the socket to serve on; exit with a message when the port cannot be had."""
    try:
        return socket.create_server((HOST, int(port)))
    except (OSError, OverflowError, ValueError) as error:
        sys.exit(f"Cannot serve on port {port} ({error}); choose another one: PORT=8001 make demo")


if __name__ == "__main__":
    main()
