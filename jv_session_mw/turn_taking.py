"""What `conversation.turn()` returns: to be awaited, or entered for the length of a block."""

from collections.abc import Generator
from types import TracebackType
from typing import Any

from msgspec import Struct

from jv_session_mw.deadline import Deadline
from jv_session_mw.held import HeldConversation
from jv_session_mw.inflight import InFlight
from jv_session_mw.turns import Turn


class TurnTaking(Struct, eq=False):
    """Takes the turn of a conversation, and gives it back at the end of a block.

    A block inside of a turn is a part of it: the turn ends with the last of its blocks, once its
    request does not hold it either. What it changed is committed then within *deadline* seconds,
    in a task that nobody cancels, unless an exception leaves the block.
    """

    conversation: HeldConversation[Any]
    inflight: InFlight
    wait: float
    deadline: float
    _turn: Turn | None = None

    def __await__(self) -> Generator[Any, None, None]:
        return self._take().__await__()

    async def _take(self) -> None:
        turn = await self.conversation.take_turn(self.wait)
        if self.conversation.is_over:  # a task has outlived its request: nobody would end it
            await self.inflight.outlive(self._end(turn))
        elif not turn.blocks:  # inside of one it is a part of that
            turn.is_requests = True

    async def __aenter__(self) -> None:
        self._turn = turn = await self.conversation.take_turn(self.wait)
        turn.blocks += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        turn = self._turn
        assert turn is not None
        turn.blocks -= 1
        if turn.is_held:
            return
        has_failed = kind is not None and issubclass(kind, Exception)
        await self.inflight.outlive(self._end(turn) if has_failed else self._commit_and_end(turn))

    async def _commit_and_end(self, turn: Turn) -> None:
        try:
            await self.conversation.commit(Deadline(self.deadline))
        finally:
            await self._end(turn)

    async def _end(self, turn: Turn) -> None:
        # Its request may have ended it, or another task have joined it, during the commit.
        if self.conversation.held_turn is turn and not turn.is_held:
            await self.conversation.end_turn()
