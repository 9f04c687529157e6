"""The store time that one request may still spend."""


class Deadline:
    """The seconds of store time that one request may still spend.

    Only time inside store calls is taken off what is `left`, so that a stream of minutes has its
    commit at the end.
    """

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        self.left = seconds
