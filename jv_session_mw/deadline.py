"""The store time that one request may still spend."""

from msgspec import Struct


class Deadline(Struct, gc=False):
    """The seconds of store time that one request may still spend.

    Only time inside store calls is taken off what is `left`, so that a stream of minutes has its
    commit at the end; and of that not what the event loop was late, which is not the store's.
    """

    left: float
