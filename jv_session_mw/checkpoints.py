"""What a long stream has written so far, stored at intervals before it ends."""

import asyncio
import logging
from typing import Any

from jv_session_mw.deadline import Deadline
from jv_session_mw.errors import ConversationGone, SessionError
from jv_session_mw.held import HeldConversation
from jv_session_mw.inflight import InFlight

logger = logging.getLogger("jv_session_mw")


class Checkpoints:
    """Commits *conversation* at intervals of *every* seconds: a SIGKILL loses no more than one.

    A timer starts it rather than what is sent, because a model may be silent for a minute with
    half of an answer written. The stream does not wait for it. What a checkpoint cannot store is
    left to the gate at the end, which reports it.
    """

    def __init__(
        self,
        conversation: HeldConversation[Any],
        inflight: InFlight,
        *,
        every: float,
        deadline: float,
    ) -> None:
        self._conversation = conversation
        self._inflight = inflight
        self._every = every
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(every, self.commit_now)

    def end(self) -> None:
        """Begin no more checkpoints; one that is under way comes to its end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def commit_now(self) -> None:
        """Commit without waiting for the timer."""
        if self._timer is None:
            return
        self._timer.cancel()
        if self._conversation.is_idle():
            self._timer = self._loop.call_later(self._every, self.commit_now)
        else:
            self._inflight.spawn(self._commit())

    async def _commit(self) -> None:
        try:
            self._conversation.checkpoint_replies()
            await self._conversation.commit_rest(Deadline(self._deadline))
        except ConversationGone:
            return  # deleted meanwhile: there is nothing to come back to
        except SessionError as error:
            logger.debug("a checkpoint was not stored: %s", error, exc_info=error)
        if self._timer is not None:
            self._timer = self._loop.call_later(self._every, self.commit_now)
