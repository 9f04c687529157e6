"""What a turn asks of a backend, and is answered: plain data, as all that crosses there."""

from msgspec import Struct


class Claim(Struct, frozen=True, gc=False):
    """What a turn asks for: to be the only one for the next *ms* milliseconds; 0 gives that back.

    `holder` is a name that no other turn has, `fence` what the first claim was given.
    """

    holder: str
    ms: int
    fence: int = 0


class Lease(Struct, frozen=True, gc=False):
    """What a claim was answered.

    `fence` is higher than that of all turns before. It is 0 where nobody else serves the
    conversation, so that the order among the requests of this process is enough.
    """

    is_granted: bool
    fence: int = 0


UNSHARED = Lease(is_granted=True)
