"""What `conversation.turn()` returns: to be awaited, or entered for the length of a block."""

from collections.abc import Generator
from types import TracebackType
from typing import Any

from msgspec import Struct

from jv_session_mw.deadline import Deadline
from jv_session_mw.held import HeldConversation
from jv_session_mw.inflight import InFlight


class TurnTaking(Struct, eq=False):
    """Takes the turn of a conversation, and gives it back at the end of a block.

    A block inside of a turn is a part of it. What a block changed is committed at its end within
    *deadline* seconds, in a task that nobody cancels, unless an exception leaves the block.
    """

    conversation: HeldConversation[Any]
    inflight: InFlight
    wait: float
    deadline: float
    _is_part: bool = False

    def __await__(self) -> Generator[Any, None, None]:
        return self.conversation.take_turn(self.wait).__await__()

    async def __aenter__(self) -> None:
        self._is_part = self.conversation.held_turn is not None
        await self.conversation.take_turn(self.wait)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_part:
            return
        has_failed = kind is not None and issubclass(kind, Exception)
        end = self.conversation.end_turn if has_failed else self._commit_and_end
        await self.inflight.outlive(end())

    async def _commit_and_end(self) -> None:
        try:
            await self.conversation.commit(Deadline(self.deadline))
        finally:
            await self.conversation.end_turn()
