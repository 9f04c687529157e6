"""The model's answer, collected while it is streamed and stored as one message."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from jv_session_mw.errors import UnsupportedValue
from jv_session_mw.messages import Message

INTERRUPTED: Message = {"interrupted": True}


class Reply:
    """Collects what is streamed and appends one message at the end.

    `async with conversation.reply() as reply:` around the stream (`with` in a generator that is
    not async), `reply.write(token)` for each piece. When it is cut off, because the client hung
    up or the model failed, what was written so far is kept and marked `"interrupted": true`. A
    checkpoint marks it too, until the end takes the mark away. An empty reply leaves no message.
    """

    __slots__ = ("_joined", "_open", "_parts", "_place", "message")

    def __init__(
        self, message: Message, place: Callable[[Message], None], open_replies: list["Reply"]
    ) -> None:
        self._place = place
        self._open = open_replies
        self._parts: list[str] = []
        self._joined = (0, "")
        self.message = message

    @property
    def text(self) -> str:
        """What has been written so far. Only what came since the last look is put together."""
        count, text = self._joined
        new = self._parts[count:]
        if new:
            text += "".join(new)
            self._joined = count + len(new), text  # as one, since a thread may be writing
        return text

    def write(self, text: str) -> None:
        """Add a piece of the answer. It is stored when the reply ends, or at a checkpoint.

        Raises `UnsupportedValue` for what is not a string, such as the None that many models send
        last; what came before is kept.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnsupportedValue(
                "a piece of the reply", f"give a string, not {type(text).__qualname__}"
            )
        self._parts.append(text)

    def finish(self) -> None:
        """Append the message as complete; does nothing when the reply has ended already."""
        self._end({})

    def interrupt(self) -> None:
        """Append what there is, marked; does nothing when the reply has ended already."""
        self._end(INTERRUPTED)

    def checkpoint(self) -> None:
        """Put what there is into the messages, marked as interrupted until the reply ends."""
        if self._parts:
            self.message.update(content=self.text, **INTERRUPTED)
            self._place(self.message)

    def go_on_in(self, messages: list[Message]) -> None:
        """Find the last checkpoint in reloaded *messages*, for the end to complete that message."""
        if INTERRUPTED.items() <= self.message.items():
            stored = (held for held in reversed(messages) if held == self.message)
            self.message = next(stored, self.message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.interrupt()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Nothing is awaited here: in a cancelled generator it would be cut off.
        self.__exit__(kind, error, traceback)

    def _end(self, mark: Message) -> None:
        if self not in self._open:
            return
        self._open.remove(self)
        if self._parts:
            for name in INTERRUPTED.keys() - mark.keys():
                self.message.pop(name, None)
            self.message.update(content=self.text, **mark)
            self._place(self.message)
