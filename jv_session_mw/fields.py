"""The state as it is stored, field by field, and the object that was made of it for the app."""

from collections.abc import Mapping
from typing import Generic, TypeVar, cast

from msgspec import Struct

from jv_session_mw.changes import Changes, Put
from jv_session_mw.codec import Codec
from jv_session_mw.errors import SessionError, UnreadableConversation, UnsupportedValue
from jv_session_mw.fingerprint import print_of, prints_of, value_of
from jv_session_mw.state import StateKind
from jv_session_mw.tagging import checked_name

S = TypeVar("S")


class Prints(Struct):
    """The fingerprint of the whole state, None where it has none, and of each field.

    Those of the fields are made of the whole one when they are needed; without it they are here.
    """

    whole: bytes | None
    each: dict[object, bytes | None] | None = None


class Fields(Generic[S]):
    """The stored fields, and the state that was made of them.

    Raises `UnreadableConversation` when they cannot be decoded or do not fit the type.
    """

    __slots__ = ("_codec", "_kind", "_prints", "_seen", "_stored", "state")

    def __init__(self, codec: Codec, kind: StateKind[S], stored: dict[str, bytes]) -> None:
        self._codec = codec
        self._kind = kind
        self._stored = stored
        values = codec.decode_all(list(stored.values()), lambda at: f"state.{list(stored)[at]}")
        self.state = kind.build({name: values[at] for at, name in enumerate(stored)})
        # A typed object fills in defaults and converts: what it says of itself is the base.
        now = _named(kind.explode(self.state))
        whole = print_of(now)
        self._prints = Prints(whole, prints_of(now) if whole is None else None)
        self._seen = stored if kind.names is None else self._encoded(now)

    def are_as_stored(self) -> bool:
        """Say, at next to no cost, that the state surely is as it was; in doubt, False."""
        stored = self._prints.whole
        try:
            return stored is not None and print_of(self._kind.explode(self.state)) == stored
        except UnsupportedValue:
            return False

    def collect(self, changes: Changes, refused: list[SessionError]) -> Prints | None:
        """Write into *changes* what was done to the state, and return its fingerprints."""
        refusals, names = len(refused), self._kind.names
        try:
            values = _named(self._kind.explode(self.state))
            unfit = frozenset[object]()
        except UnsupportedValue:
            values = self._exploded_one_by_one(refused)
            unfit = frozenset[object](name for name in names or () if name not in values)
        whole = print_of(values)
        if whole is not None and whole == self._prints.whole:
            return self._prints
        before, now = self._each_before(), prints_of(values)
        for name, print in now.items():
            if print is None or print != before.get(name):
                try:
                    self._collect_field(name, values[name], changes, print, before.get(name))
                except UnsupportedValue as error:
                    refused.append(error)
                    now[name] = before.get(name)
        if names is not None and changes.fields:
            for name, reason in self._misfits(values, changes).items():
                del changes.fields[name]
                refused.append(UnsupportedValue(f"state.{name}", reason))
                now[name] = before.get(name)
        for name, data in self._stored.items():
            if name not in values and name not in unfit and (names is None or name in names):
                changes.removed[name] = data
        for name in unfit:
            now[name] = before.get(name)
        return Prints(whole if len(refused) == refusals else None, now)

    def absorb(self, changes: Changes, stored: dict[str, bytes], now: Prints | None) -> None:
        """Take *stored*, to which *changes* have led, as what later changes rest on.

        *now* are the fingerprints that the state had when they were collected.
        """
        self._stored = stored
        if now is not None:
            self._prints = now
        if self._kind.names is None:
            self._seen = stored
        else:
            self._seen |= {name: put.value for name, put in changes.fields.items()}

    def _exploded_one_by_one(self, refused: list[SessionError]) -> Mapping[object, object]:
        """Return what can be of the state, and refuse the rest of it by name."""
        values: dict[object, object] = {}
        for name in sorted(self._kind.names or ()):
            try:
                values[name] = self._kind.explode_field(self.state, name)
            except UnsupportedValue as error:
                refused.append(error)
        return values

    def _each_before(self) -> dict[object, bytes | None]:
        prints = self._prints
        if prints.each is None:
            assert prints.whole is not None
            prints.each = prints_of(cast("dict[object, object]", value_of(prints.whole)))
        return prints.each

    def _collect_field(
        self,
        given: object,
        value: object,
        changes: Changes,
        now: bytes | None,
        before: bytes | None,
    ) -> None:
        """Add *value* as what *given* names; without a fingerprint of both, after a closer look."""
        name = checked_name(given)
        where = f"state.{name}"
        data = self._codec.encode(value, where)
        seen = self._seen.get(name) if now is None or before is None else None
        if seen is None or not self._same(data, seen, where):
            changes.fields[name] = Put(data, self._stored.get(name))

    def _same(self, data: bytes, seen: bytes, where: str) -> bool:
        """Whether both hold one value, though perhaps written by another encoder's rules."""
        return data == seen or data == self._codec.encode(self._codec.decode(seen, where), where)

    def _encoded(self, values: Mapping[object, object]) -> dict[str, bytes]:
        """Encode what has no fingerprint, to be compared by its bytes."""
        return {
            checked_name(name): self._codec.encode(values[name], f"state.{name}")
            for name, print in (self._prints.each or {}).items()
            if print is None
        }

    def _misfits(self, values: Mapping[object, object], changes: Changes) -> dict[str, str]:
        """Name what the type would not take back as it is: once stored it could never be read."""
        stored = {
            name: self._codec.decode(put.value, f"state.{name}")
            for name, put in changes.fields.items()
        }
        try:
            again = self._kind.build({**cast("Mapping[str, object]", values), **stored})
        except UnreadableConversation as error:
            alone = [name for name, value in stored.items() if not self._fits(name, value)]
            return dict.fromkeys(alone or stored, f"it would not come back: {error.reason}")
        return {
            name: "it would not come back as it was"
            for name in stored
            if not _equal(self._kind.value(again, name), self._kind.value(self.state, name))
        }

    def _fits(self, name: str, value: object) -> bool:
        try:
            self._kind.build({name: value})
        except UnreadableConversation:
            return False
        return True


def _named(values: Mapping[str, object]) -> Mapping[object, object]:
    """Return *values*, whose names may be anything as long as nobody has checked them."""
    return cast("Mapping[object, object]", values)


def _equal(again: object, now: object) -> bool:
    """Whether two values are one, as far as their type lets anybody tell."""
    return type(now).__eq__ is object.__eq__ or bool(again == now)
