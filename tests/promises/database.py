"""What is really stored, seen by a client that shares nothing with the package under test."""

from collections.abc import Callable
from typing import cast

from redis import Redis

Argument = str | bytes | int

WRITING = frozenset(
    {"hset", "hdel", "rpush", "lset", "lrem", "ltrim", "lpop", "del", "set", "pexpire", "expire"}
)


class Database:
    """A typed view of one Redis; every method is the command of its name."""

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]

    def do(self, *command: Argument) -> object:
        """Send any command, and return its reply."""
        send = cast("Callable[..., object]", self._client.execute_command)  # pyright: ignore[reportUnknownMemberType]
        return send(*command)

    def names(self) -> list[str]:
        """Return the names of all keys, sorted."""
        return sorted(name.decode() for name in cast("list[bytes]", self.do("KEYS", "*")))

    @property
    def conversation(self) -> str:
        """The key of the only conversation."""
        (key,) = [key for key in self.names() if key.endswith("}")]
        return key

    def dump(self) -> dict[str, object]:
        """Return the serialised value of every key; a TTL is no part of it."""
        return {key: self.do("DUMP", key) for key in self.names()}

    def writes(self) -> dict[str, int]:
        """Return how often each writing command ran, in scripts too, since the last reset."""
        return {name: count for name, count in self._calls().items() if name in WRITING}

    def scripts(self) -> int:
        """Return how many scripts ran since the last reset: each store call is one."""
        return self._calls().get("evalsha", 0)

    def forget(self) -> None:
        """Begin to count anew."""
        self.do("CONFIG", "RESETSTAT")

    def commands(self) -> int:
        """Return the number of commands that the server has carried out."""
        return int(cast("dict[str, int]", self.do("INFO", "stats"))["total_commands_processed"])

    def close(self) -> None:
        self._client.close()

    def _calls(self) -> dict[str, int]:
        rows = cast("dict[str, dict[str, int]]", self.do("INFO", "commandstats"))
        return {name.removeprefix("cmdstat_"): row["calls"] for name, row in rows.items()}
