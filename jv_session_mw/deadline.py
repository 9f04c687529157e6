"""The store time that one request may still spend."""

from msgspec import Struct


class Deadline(Struct, gc=False):
    """The seconds of store time that one request may still spend.

    `left` shrinks only while a store call is under way, so that a stream of minutes still has time
    for its last commit. Time for which the event loop was late is not the store's, nor counted.
    """

    left: float
