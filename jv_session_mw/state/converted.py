"""The app's own data as a `msgspec.Struct` or a dataclass, both of which msgspec converts."""

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

import msgspec

from jv_session_mw.errors import UnreadableConversation, UnsupportedValue
from jv_session_mw.state.made_up import made_up_by

S = TypeVar("S")

# The codec stores these by itself, so the conversion of typed objects leaves them as they are.
_KEPT = (bytes, datetime, date, time, timedelta, Decimal, UUID)


class ConvertedKind(Generic[S]):
    """A `msgspec.Struct` or a dataclass, stored field by field.

    *attributes* maps the name of each stored field to that of its attribute. *is_whole* says that
    msgspec, asked for all fields at once, gives exactly these: that is four times as fast.
    """

    def __init__(
        self,
        state_type: type[S],
        attributes: Mapping[str, str],
        made_up: frozenset[str],
        *,
        is_whole: bool,
    ) -> None:
        self.names: frozenset[str] | None = frozenset(attributes)
        self.made_up = made_up
        self.state_type = state_type
        self._attributes = attributes
        self._is_whole = is_whole

    def build(self, values: dict[str, object]) -> S:
        known = {name: value for name, value in values.items() if name in self._attributes}
        try:
            return msgspec.convert(known, self.state_type, builtin_types=_KEPT, str_keys=True)
        except msgspec.ValidationError as error:
            reason = f"its fields do not fit {self.state_type.__qualname__} ({error})"
            raise UnreadableConversation("state", reason) from error

    def dump(self, state: S) -> dict[str, object]:
        if self._is_whole:
            return cast("dict[str, object]", _plain(state, "state"))
        return {name: self.dump_field(state, name) for name in self._attributes}

    def dump_field(self, state: S, name: str) -> object:
        return _plain(self.value(state, name), f"state.{name}")

    def value(self, state: S, name: str) -> object:
        return getattr(state, self._attributes[name])


def struct_kind(state_type: type[S]) -> ConvertedKind[S]:
    """Return the kind for a `msgspec.Struct`, under the names that its encoding has."""
    struct = cast("type[msgspec.Struct]", state_type)
    fields, config = msgspec.structs.fields(struct), struct.__struct_config__
    return ConvertedKind(
        state_type,
        {field.encode_name: field.name for field in fields},
        made_up_by({field.encode_name: field.default_factory for field in fields}),
        is_whole=config.tag is None and not config.omit_defaults,
    )


def dataclass_kind(state_type: type[S]) -> ConvertedKind[S]:
    """Return the kind for a dataclass."""
    fields = dataclasses.fields(cast("Any", state_type))
    return ConvertedKind(
        state_type,
        {field.name: field.name for field in fields},
        made_up_by({field.name: field.default_factory for field in fields}),
        is_whole=False,  # its defaults may live on the class
    )


def _plain(value: object, where: str) -> object:
    try:
        plain: object = msgspec.to_builtins(value, builtin_types=_KEPT, str_keys=True)
    except (TypeError, RecursionError) as error:
        raise UnsupportedValue(where, str(error)) from error
    return plain
