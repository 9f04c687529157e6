"""The lease of a turn as it lies in Redis, past everything that is tested."""

from tests.backends.harness import Bytes

TURN = "conv:{id}:t"


def record(stored: Bytes) -> tuple[bytes, bytes, int]:
    found = stored.do("GET", TURN)
    assert isinstance(found, bytes)
    fence, holder, end = found.split()
    return fence, holder, int(end)


def end(stored: Bytes) -> None:
    """Let the time of the lease go by."""
    fence, holder, _ = record(stored)
    stored.do("SET", TURN, b"%b %b 1" % (fence, holder))
