"""A thread of the app may be at a dict while it is looked at: nobody fails for that."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from jv_session_mw.codec import JsonCodec
from jv_session_mw.fingerprints import fingerprint_of, matches


@contextmanager
def at_work() -> Generator[dict[str, object]]:
    """Give a dict out of which another thread takes a part, and puts it in again, all the time."""
    value: dict[str, object] = {"role": "assistant", "content": ""}
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            value["content"] = value.pop("content")

    thread = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        yield value
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_it_does_not_fail_who_compares_it() -> None:
    with at_work() as value:
        fingerprint = fingerprint_of({"role": "assistant", "content": ""})
        for _ in range(150_000):
            matches(value, fingerprint)
            fingerprint_of(value)
    assert matches(value, fingerprint)


def test_it_does_not_fail_who_encodes_it() -> None:
    with at_work() as value:
        for _ in range(100_000):
            JsonCodec().encode(value, "x")
