"""The delta engine: what was loaded, what became of it, and the difference."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from jv_session_mw.changes import MISSING, Changes, Outcome, Put, Snapshot, new_commit_id
from jv_session_mw.codec import Codec, check_name
from jv_session_mw.errors import SessionError, UnreadableConversation, UnsupportedValue
from jv_session_mw.messages import LogEdit, Logged, Message, Messages, diff
from jv_session_mw.state import StateKind

S = TypeVar("S")


class Delta(Struct):
    """What is to be stored, and what was refused because it cannot be.

    `log` is the message log once the delta is stored, None when nobody touched the messages.
    """

    changes: Changes
    log: LogEdit | None
    refused: list[SessionError]


class WorkingCopy(Generic[S]):
    """State and messages of one conversation, decoded when first touched.

    Change is found by comparing bytes, so nested mutation is seen, untouched parts cost nothing,
    and what was loaded is never written back.
    """

    __slots__ = (
        "_clears", "_codec", "_fetch", "_fields", "_kind", "_log", "_messages", "_seen", "_state",
        "_unsure", "expires_ms", "snapshot",
    )  # fmt: skip

    def __init__(
        self,
        codec: Codec,
        kind: StateKind[S],
        fetch: Callable[[int], Awaitable[list[Message]]],
        snapshot: Snapshot = MISSING,
    ) -> None:
        self._codec = codec
        self._kind = kind
        self._fetch = fetch
        self.rebase(snapshot)

    def rebase(self, snapshot: Snapshot) -> None:
        """Begin again from *snapshot*; objects handed out before are no longer looked at.

        Raises `UnreadableConversation` when a value was written by another codec or version.
        """
        for name, data in snapshot.fields.items():
            self._codec.check(data, f"state.{name}")
        for seq, data in snapshot.messages:
            self._codec.check(data, f"message {seq}")
        self._take(snapshot)
        self.discard()

    @property
    def is_unsure(self) -> bool:
        """Whether a delta was sent of which nobody knows yet if it was stored."""
        return self._unsure is not None

    def discard(self) -> None:
        """Forget what was changed since the last save."""
        self._unsure: Delta | None = None
        self._state: S | None = None
        self._seen: dict[str, bytes] = {}
        self._messages: Messages | None = None
        self._log: list[Logged] = []
        self._clears = 0

    @property
    def touched(self) -> bool:
        return self._state is not None or self._messages is not None

    @property
    def state(self) -> S:
        if self._state is None:
            self._state = self._decode_state()
        return self._state

    @state.setter
    def state(self, state: S) -> None:
        if not isinstance(state, self._kind.state_type):
            name = self._kind.state_type.__qualname__
            raise UnsupportedValue("state", f"this store's state is a {name}")
        if self._state is None:
            self._decode_state()
        self._state = state

    @property
    def messages(self) -> Messages:
        if self._messages is None:
            self._log = [
                Logged(seq, data, self._decode_message(seq, data))
                for seq, data in self.snapshot.messages
            ]
            self._messages = Messages(
                [entry.value for entry in self._log],
                self.snapshot.total - len(self._log),
                self._fetch,
            )
        return self._messages

    def prepend(
        self, older: list[tuple[int, bytes]], first: int, messages: Messages
    ) -> list[Message]:
        """Take in *older*, loaded for *messages* from before *first*, and return their values.

        Nothing, when *messages* were reloaded, cleared or filled by another task meanwhile.
        """
        if messages is not self._messages or not messages.unseen or self.first_seq != first:
            return []
        if not older:
            messages.unseen = 0
        entries = [Logged(seq, data, self._decode_message(seq, data)) for seq, data in older]
        values = [entry.value for entry in entries]
        self._log[:0] = entries
        messages[:0] = values
        messages.unseen -= len(entries)
        return values

    @property
    def first_seq(self) -> int:
        """The sequence number of the first message that is here."""
        log = self._log or [Logged(seq, b"", {}) for seq, _ in self.snapshot.messages[:1]]
        return log[0].seq if log else 2**53

    def collect(self) -> Delta | None:
        """Return what a commit has to send, or None.

        A delta whose outcome is unknown comes back as it was, with the same commit id, until
        `absorb` has heard of it. Raises `UnsupportedEdit`.
        """
        if self._unsure is not None:
            return self._unsure
        if not self.touched:
            return None
        snapshot = self.snapshot
        changes = Changes("", snapshot.version, birth=snapshot.birth)
        refused: list[SessionError] = []
        if self._state is not None:
            self._collect_state(self._state, changes, refused)
        log = None
        if self._messages is not None:
            if not self._log:  # there was nothing to clear, and it shall stay that way
                self._clears = self._messages.clears
            log = diff(self._log, self._messages, self._clears, self._codec, changes)
            refused += log.refused
        if changes.empty() and not refused:
            return None
        changes.commit_id = new_commit_id()
        return Delta(changes, log, refused)

    def sending(self, delta: Delta) -> None:
        """Note that *delta* is on its way, and from here on may have been stored."""
        self._unsure = delta

    def forget(self, delta: Delta) -> None:
        """Note that *delta* was not stored; what it holds is collected again next time."""
        if self._unsure is delta:
            self._unsure = None

    def absorb(self, delta: Delta, outcome: Outcome) -> None:
        """Take *outcome* in: what was stored is now what later changes rest on."""
        self._unsure = None
        if outcome.status != "committed":
            return
        changes = delta.changes
        fields = {name: data for name, data in self._fields.items() if name not in changes.removed}
        for name, put in changes.fields.items():
            fields[name] = self._seen[name] = put.value
        for name in changes.removed:
            self._seen.pop(name, None)
        messages = self.snapshot.messages
        if delta.log is not None:
            for at, entry in enumerate(delta.log.appended):
                entry.seq = outcome.first_seq + at
            older = self._log[: max(0, len(self._log) - delta.log.size)]  # came in meanwhile
            self._log = older + delta.log.after
            self._clears = delta.log.clears
            messages = [(entry.seq, entry.data) for entry in self._log]
        self._take(
            Snapshot(
                version=outcome.version,
                birth=outcome.birth,
                created_ms=outcome.created_ms,
                ttl_ms=outcome.ttl_ms,
                total=outcome.total,
                fields=fields,
                messages=messages,
                fallback=outcome.fallback,
            )
        )

    def _take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._fields = snapshot.fields
        self.expires_ms = time.time() * 1000 + snapshot.ttl_ms

    def _decode_state(self) -> S:
        values = {
            name: self._codec.decode(data, f"state.{name}") for name, data in self._fields.items()
        }
        state = self._kind.build(values)
        # A typed object fills in defaults and converts: what it says of itself is the base.
        self._seen = dict(self._fields) if self._kind.names is None else self._encoded(state)
        return state

    def _encoded(self, state: S) -> dict[str, bytes]:
        return {
            name: self._codec.encode(value, f"state.{name}")
            for name, value in self._kind.explode(state).items()
        }

    def _decode_message(self, seq: int, data: bytes) -> Message:
        value: Message = self._codec.decode(data, f"message {seq}")  # type: ignore[assignment]
        return value

    def _collect_state(self, state: S, changes: Changes, refused: list[SessionError]) -> None:
        try:
            values = self._kind.explode(state)
        except UnsupportedValue as error:
            refused.append(error)
            return
        for name, value in values.items():
            seen = self._seen.get(name)
            if seen is not None and self._codec.unchanged(value, seen):
                continue
            try:
                self._collect_field(name, value, seen, changes)
            except UnsupportedValue as error:
                refused.append(error)
        if self._kind.names is not None and changes.fields:
            for name, reason in self._misfits(state, values, changes).items():
                del changes.fields[name]
                refused.append(UnsupportedValue(f"state.{name}", reason))
        for name, data in self._fields.items():
            if name not in values and (self._kind.names is None or name in self._kind.names):
                changes.removed[name] = data

    def _misfits(self, state: S, values: Mapping[str, object], changes: Changes) -> dict[str, str]:
        """Name what the type would not take back as it is: once stored it could never be read."""
        stored = {
            name: self._codec.decode(put.value, f"state.{name}")
            for name, put in changes.fields.items()
        }
        try:
            again = self._kind.build({**values, **stored})
        except UnreadableConversation as error:
            alone = [name for name, value in stored.items() if not self._fits(name, value)]
            return dict.fromkeys(alone or stored, f"it would not come back: {error.reason}")
        return {
            name: "it would not come back as it was"
            for name in stored
            if not _equal(self._kind.value(again, name), self._kind.value(state, name))
        }

    def _fits(self, name: str, value: object) -> bool:
        try:
            self._kind.build({name: value})
        except UnreadableConversation:
            return False
        return True

    def _collect_field(
        self, name: str, value: object, seen: bytes | None, changes: Changes
    ) -> None:
        where = f"state.{name}"
        check_name(name)
        data = self._codec.encode(value, where)
        if seen is not None and self._same(data, seen, where):
            return
        changes.fields[name] = Put(data, self._fields.get(name))

    def _same(self, data: bytes, seen: bytes, where: str) -> bool:
        """Whether both hold one value, though perhaps written by another encoder's rules."""
        return data == seen or data == self._codec.encode(self._codec.decode(seen, where), where)


def _equal(again: object, now: object) -> bool:
    """Whether two values are one, as far as their type lets anybody tell."""
    return type(now).__eq__ is object.__eq__ or bool(again == now)
