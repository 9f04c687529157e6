"""How a backend is, by what is known already."""

from msgspec import Struct


class Condition(Struct, frozen=True, gc=False):
    """How a backend is.

    `degraded` while memory stands in for the store; `in_memory` is how many conversations this
    process holds. Of these, `to_replay` wait to be applied to the store. `replay_conflicts` counts
    the changes that could not be applied as they were.
    """

    degraded: bool = False
    last_error: str | None = None
    in_memory: int = 0
    to_replay: int = 0
    replay_conflicts: int = 0
