"""The state, as it is stored field by field and as the object that the app has."""

from typing import Generic, TypeAlias, TypeVar, cast

from jv_session_mw.changes import Changes, Put
from jv_session_mw.codec import Codec, encoded_anew
from jv_session_mw.errors import SessionError, UnreadableConversation, UnsupportedValue
from jv_session_mw.fingerprints import Fingerprint, fingerprint_of, matches
from jv_session_mw.likeness import is_like
from jv_session_mw.state.kind import StateKind
from jv_session_mw.tagging import checked_name

S = TypeVar("S")


Fingerprints: TypeAlias = dict[object, Fingerprint | None]


class Fields(Generic[S]):
    """The stored fields, and the state that was made of them.

    Raises `UnreadableConversation` when they cannot be decoded or do not fit the type.
    """

    __slots__ = ("_codec", "_fingerprints", "_kind", "_made_up", "_seen", "_stored", "state")

    def __init__(self, codec: Codec, kind: StateKind[S], stored: dict[str, bytes]) -> None:
        self._codec = codec
        self._kind = kind
        self._stored = stored
        values = codec.decode_all(list(stored.values()), lambda at: f"state.{list(stored)[at]}")
        self.state = kind.build({name: values[at] for at, name in enumerate(stored)})
        # A typed object fills in defaults and converts values, so it is compared with its own dump.
        now = _named(kind.dump(self.state))
        self._fingerprints = {name: fingerprint_of(value) for name, value in now.items()}
        self._made_up = made_up = kind.made_up
        if made_up:  # most types make up nothing
            self._made_up = frozenset(
                [name for name in made_up if name in now and name not in stored]
            )
        self._seen = stored if kind.names is None else self._encoded(now)

    def are_as_stored(self) -> bool:
        """Return whether the state is certainly as it was. Cheap; False when unsure."""
        try:
            values = _named(self._kind.dump(self.state))
        except UnsupportedValue:
            return False
        if len(values) != len(self._fingerprints):
            return False
        for name, value in values.items():
            if not self._is_as_it_was(name, value):
                return False
        return True

    def collect(self, changes: Changes, refused: list[SessionError]) -> Fingerprints:
        """Write into *changes* what was done to the state, and return its fingerprints as of now.

        For a value that cannot be stored an error goes into *refused*.
        """
        names, before = self._kind.names, self._fingerprints
        try:
            values = _named(self._kind.dump(self.state))
            unfit = frozenset[object]()
        except UnsupportedValue:
            values = self._dumped_one_by_one(refused)
            unfit = frozenset[object](name for name in names or () if name not in values)
        now = {name: was for name, was in before.items() if name in values or name in unfit}
        for name, value in values.items():
            if self._is_as_it_was(name, value):
                continue
            try:
                now[name] = self._collect_field(name, value, changes, before.get(name))
            except UnsupportedValue as error:
                refused.append(error)
        if names is not None and changes.fields:
            for name, reason in self._misfits(values, changes).items():
                del changes.fields[name]
                refused.append(UnsupportedValue(f"state.{name}", reason))
                now[name] = before.get(name)
        for name, data in self._stored.items():
            if name not in values and name not in unfit and (names is None or name in names):
                changes.removed[name] = data
        return now

    def keep_made_up(self, changes: Changes) -> None:
        """Let *changes* store what the type has made up: the next load would make up another value.

        It is stored as it was made. What the app has put in its place is in *changes* already, or
        was refused.
        """
        for name in self._made_up:
            if name not in changes.fields:
                changes.fields[name] = Put(self._seen[name], None)

    def absorb(self, changes: Changes, stored: dict[str, bytes], now: Fingerprints | None) -> None:
        """Let later changes rest on *stored*, which is what *changes* have led to.

        *now* are the fingerprints of the state when they were collected.
        """
        self._stored = stored
        if self._made_up:
            self._made_up = self._made_up.difference(stored)
        if now is not None:
            self._fingerprints = now
        if self._kind.names is None:
            self._seen = stored
        else:
            self._seen |= {name: put.value for name, put in changes.fields.items()}

    def _dumped_one_by_one(self, refused: list[SessionError]) -> dict[object, object]:
        """Return the fields of the state that can be dumped, and refuse the others by name."""
        values: dict[object, object] = {}
        for name in sorted(self._kind.names or ()):
            try:
                values[name] = self._kind.dump_field(self.state, name)
            except UnsupportedValue as error:
                refused.append(error)
        return values

    def _is_as_it_was(self, name: object, value: object) -> bool:
        return isinstance(name, str) and matches(value, self._fingerprints.get(name))

    def _collect_field(
        self, given: object, value: object, changes: Changes, before: Fingerprint | None
    ) -> Fingerprint | None:
        """Add *value* to *changes* under the name *given*, unless it still encodes to the same."""
        name = checked_name(given)
        where = f"state.{name}"
        now = fingerprint_of(value)
        seen = self._seen.get(name) if now is None or before is None else None
        if seen is None:
            data = self._codec.encode(value, where)
        else:
            data = encoded_anew(self._codec, value, seen, where)
        if data is not seen:
            changes.fields[name] = Put(data, self._stored.get(name))
        return now

    def _encoded(self, values: dict[object, object]) -> dict[str, bytes]:
        """Encode what was made up, and what has no fingerprint and is compared by its bytes."""
        return {
            checked_name(name): self._codec.encode(values[name], f"state.{name}")
            for name, fingerprint in self._fingerprints.items()
            if fingerprint is None or name in self._made_up
        }

    def _misfits(self, values: dict[object, object], changes: Changes) -> dict[str, str]:
        """Return what the type would not take back as it is, and why: it could never be read."""
        stored = {
            name: self._codec.decode(put.value, f"state.{name}")
            for name, put in changes.fields.items()
        }
        try:
            again = self._kind.build({**cast("dict[str, object]", values), **stored})
        except UnreadableConversation as error:
            alone = [name for name, value in stored.items() if not self._fits(name, value)]
            return dict.fromkeys(alone or stored, f"it would not come back: {error.reason}")
        return {
            name: "it would not come back as it was"
            for name in stored
            if not is_like(self._kind.value(again, name), self._kind.value(self.state, name))
        }

    def _fits(self, name: str, value: object) -> bool:
        try:
            self._kind.build({name: value})
        except UnreadableConversation:
            return False
        return True


def _named(values: dict[str, object]) -> dict[object, object]:
    """Return *values* as what they are: nobody has checked yet that their names are strings."""
    return cast("dict[object, object]", values)
