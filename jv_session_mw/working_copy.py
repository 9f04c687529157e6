"""What was loaded, what the handler made of it, and the difference between the two."""

import weakref
from time import time
from typing import Final, Generic, TypeVar

from jv_session_mw.changes import MISSING, Changes, Outcome, Snapshot, new_commit_id
from jv_session_mw.codec import FOREIGN, Codec
from jv_session_mw.errors import (
    SessionError,
    UnreadableConversation,
    UnsupportedEdit,
    UnsupportedValue,
)
from jv_session_mw.fields import Fields, Fingerprints
from jv_session_mw.message_cache import MessageCache
from jv_session_mw.message_log import LogEdit, MessageLog, stored_by
from jv_session_mw.messages import Message, Messages, Source
from jv_session_mw.state.kind import StateKind
from jv_session_mw.stretch import NO_MESSAGES, Stretch
from jv_session_mw.succession import fields_after, snapshot_from

S = TypeVar("S")


class Delta:
    """What is to be stored, and what was refused because it cannot be.

    `log` is the message log once the delta is stored, None when it stays as it is. `state` holds
    the fingerprints of the state that the delta was made from.
    """

    __slots__ = ("changes", "log", "refused", "state")

    def __init__(
        self,
        changes: Changes,
        log: LogEdit | None,
        state: Fingerprints | None,
        refused: list[SessionError],
    ) -> None:
        self.changes: Final = changes
        self.log: Final = log
        self.state: Final = state
        self.refused: Final = refused


class WorkingCopy(Generic[S]):
    """State and messages of one conversation, decoded when first looked at.

    Changes are found by comparison: nested mutation is seen, untouched parts cost nothing, and
    what was only loaded is never written back.
    """

    __slots__ = (
        "_cache", "_codec", "_entries", "_fields", "_kind", "_log", "_source", "_stored", "_unsure",
        "expires_ms", "head",
    )  # fmt: skip

    def __init__(
        self,
        codec: Codec,
        cache: MessageCache,
        kind: StateKind[S],
        source: "weakref.ref[Source]",
    ) -> None:
        self.head: Snapshot | Outcome = MISSING
        self.expires_ms = 0.0
        self._codec = codec
        self._cache = cache
        self._kind = kind
        self._source = source
        self._stored: dict[str, bytes] = {}
        self._entries = NO_MESSAGES
        self._unsure: Delta | None = None
        self._fields: Fields[S] | None = None
        self._log: MessageLog | None = None

    @property
    def snapshot(self) -> Snapshot:
        """What is stored, as far as it is known here."""
        head = self.head
        if isinstance(head, Snapshot):
            return head
        return snapshot_from(head, self._stored, self._entries)

    def rebase(self, snapshot: Snapshot) -> None:
        """Begin again from *snapshot*; changes to objects handed out before are not seen any more.

        Raises `UnreadableConversation` when a field or the newest message was written by another
        codec or version; the other messages are checked when they are looked at.
        """
        claims, fields, messages = self._codec.claims, snapshot.fields, snapshot.messages
        if not all(map(claims, fields.values())):
            foreign = next(name for name, data in fields.items() if not claims(data))
            raise UnreadableConversation(f"state.{foreign}", FOREIGN)
        if messages.values and not claims(messages.values[-1]):
            raise UnreadableConversation(f"message {messages.numbers[-1]}", FOREIGN)
        self.head = snapshot
        self.expires_ms = time() * 1000 + snapshot.ttl_ms
        self._stored = fields
        self._entries = messages
        self.discard()

    @property
    def is_unsure(self) -> bool:
        """Whether a delta of unknown outcome waits to be sent again."""
        return self._unsure is not None

    def discard(self) -> None:
        """Forget what was changed since the last save."""
        self._unsure = None
        self.discard_unsent()

    def discard_unsent(self) -> None:
        """Forget what was changed, but keep a delta of unknown outcome."""
        self._fields = self._log = None

    @property
    def was_looked_at(self) -> bool:
        return self._fields is not None or self._log is not None

    def is_as_stored(self) -> bool:
        """Return whether there is certainly nothing to send. Cheap; False when unsure."""
        if self._unsure is not None:
            return False
        if self._log is not None and not self._log.is_as_stored():
            return False
        return self._fields is None or self._fields.are_as_stored()

    def expires_after(self, ms: float) -> bool:
        """Say whether more than *ms* of the TTL remain, or nothing is stored.

        The clock tells, not the snapshot: a WebSocket or a stream may be open for hours.
        """
        return not self.head.version or self.expires_ms - time() * 1000 > ms

    @property
    def differs(self) -> bool:
        """Whether a commit would have anything to send, or to refuse."""
        if self.is_as_stored():
            return False
        try:
            return self.collect() is not None
        except UnsupportedEdit:
            return True

    @property
    def state(self) -> S:
        return (self._fields or self._opened_fields()).state

    @state.setter
    def state(self, state: S) -> None:
        kind = self._kind
        is_dict = kind.names is None  # a subclass of another type may have fields that are not kept
        if not (isinstance(state, kind.state_type) if is_dict else type(state) is kind.state_type):
            name = kind.state_type.__qualname__
            raise UnsupportedValue("state", f"this store's state is a {name}")
        self._opened_fields().state = state

    @property
    def messages(self) -> Messages:
        log = self._log
        if log is None:
            unseen = self.head.total - len(self._entries.values)
            log = self._log = MessageLog(
                self._codec, self._cache, self._entries, unseen, self._source
            )
        return log.messages

    def prepend(self, older: Stretch, first: int, messages: Messages) -> list[Message]:
        """Take in *older*, loaded for *messages* from before *first*, and return their values.

        Returns none when another task has reloaded, cleared or filled *messages* meanwhile.
        """
        log = self._log
        if log is None or messages is not log.messages or not messages.unseen:
            return []
        return log.prepend(older) if self.first_seq == first else []

    @property
    def first_seq(self) -> int:
        """The sequence number of the first message that is here."""
        entries = self._log.entries if self._log is not None else self._entries
        return entries.numbers[0] if entries else 2**53

    def collect(self) -> Delta | None:
        """Return what a commit has to send, or None.

        A delta whose outcome is unknown comes back as it was, with the same commit id, until
        `absorb` has heard of it. Raises `UnsupportedEdit`.
        """
        if self._unsure is not None:
            return self._unsure
        fields, log, head = self._fields, self._log, self.head
        changes = Changes("", head.version, birth=head.birth)
        refused: list[SessionError] = []
        state = None if fields is None else fields.collect(changes, refused)
        edit = None if log is None else log.collect(changes, refused)
        if changes.empty():
            if not refused:
                return None
        elif fields is not None:
            fields.keep_made_up(changes)
        changes.commit_id = new_commit_id()
        return Delta(changes, edit, state, refused)

    def sending(self, delta: Delta) -> None:
        """Note that *delta* is on its way, and from here on may have been stored."""
        self._unsure = delta

    def forget(self, delta: Delta) -> None:
        """Note that *delta* was not stored; what it holds is collected again next time."""
        if self._unsure is delta:
            self._unsure = None

    def absorb(self, delta: Delta, outcome: Outcome) -> None:
        """Take in *outcome*: later changes rest on what was stored."""
        self._unsure = None
        if outcome.status != "committed":
            return
        self.head = outcome
        self.expires_ms = time() * 1000 + outcome.ttl_ms
        self._stored = fields_after(self._stored, delta.changes)
        if self._fields is not None:
            self._fields.absorb(delta.changes, self._stored, delta.state)
        if delta.log is None:
            return
        if self._log is None:  # discarded while the delta was on its way
            self._entries = stored_by(delta.log, outcome.first_seq)
            return
        self._log.absorb(delta.log, outcome.first_seq)
        self._entries = self._log.entries

    def _opened_fields(self) -> Fields[S]:
        if self._fields is None:
            self._fields = Fields(self._codec, self._kind, self._stored)
        return self._fields
