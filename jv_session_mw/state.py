"""The app's own data about a conversation: a dict, or a typed object, and its stored fields."""

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

import msgspec

from jv_session_mw.dict_state import DictKind
from jv_session_mw.errors import ConfigurationError, UnreadableConversation, UnsupportedValue

S = TypeVar("S")

# What the codec keeps by itself, and typed conversion must therefore leave alone.
_KEPT = (bytes, datetime, date, time, timedelta, Decimal, UUID)


class StateKind(Protocol[S]):
    """How one type of state becomes named values, one stored field each, and back.

    `names` are the fields that belong to the type; None when any name does. A stored field with
    another name belongs to an older or newer version of the type, and is left alone.
    """

    names: frozenset[str] | None
    state_type: type

    def build(self, values: dict[str, object]) -> S:
        """Return the state, or raise `UnreadableConversation` when the values do not fit."""
        ...

    def explode(self, state: S) -> dict[str, object]:
        """Return the named values, or raise `UnsupportedValue`."""
        ...

    def value(self, state: S, name: str) -> object:
        """Return the value of the field *name* as the state itself has it."""
        ...

    def explode_field(self, state: S, name: str) -> object:
        """Return the value of one field as `explode` does, or raise `UnsupportedValue` for it."""
        ...


def state_kind(state_type: type[S]) -> StateKind[S]:
    """Return the kind for *state_type*; raise `ConfigurationError` for what cannot be one.

    A type must be constructible without arguments, since a new conversation begins with it.
    """
    if state_type is dict:
        return cast("StateKind[S]", DictKind())
    kind = _typed(state_type)
    try:
        kind.explode(state_type())
        kind.build({})
    except (UnsupportedValue, UnreadableConversation) as error:
        raise ConfigurationError(
            f"state_type={state_type.__qualname__} cannot be stored and read again: {error}"
        ) from error
    except TypeError as error:
        raise ConfigurationError(
            f"state_type={state_type.__qualname__} needs a default for every field, "
            "because a new conversation begins with them"
        ) from error
    except ValueError as error:  # Pydantic's ValidationError is one
        raise ConfigurationError(
            f"state_type={state_type.__qualname__} cannot be made without arguments: "
            "give every field a default"
        ) from error
    return kind


class StructKind(Generic[S]):
    """A `msgspec.Struct`; *attributes* are its fields by the names that they are stored under.

    Written as a whole, one of a type that has a tag or omits defaults has more fields or fewer.
    """

    def __init__(self, state_type: type[S], attributes: Mapping[str, str]) -> None:
        self.names: frozenset[str] | None = frozenset(attributes)
        self.state_type = state_type
        self._attributes = attributes
        config = cast("type[msgspec.Struct]", state_type).__struct_config__
        self._is_whole = config.tag is None and not config.omit_defaults

    def build(self, values: dict[str, object]) -> S:
        return _convert(values, self.state_type, self.names or frozenset())

    def explode(self, state: S) -> dict[str, object]:
        if self._is_whole:
            return cast("dict[str, object]", _plain(state))
        return {name: self.explode_field(state, name) for name in self._attributes}

    def value(self, state: S, name: str) -> object:
        return getattr(state, self._attributes[name])

    def explode_field(self, state: S, name: str) -> object:
        return _plain(self.value(state, name), f"state.{name}")


class DataclassKind(Generic[S]):
    """A dataclass. Its defaults may live on the class, so each field is asked for by name."""

    def __init__(self, state_type: type[S], names: frozenset[str]) -> None:
        self.names: frozenset[str] | None = names
        self.state_type = state_type
        self._fields = sorted(names)

    def build(self, values: dict[str, object]) -> S:
        return _convert(values, self.state_type, self.names or frozenset())

    def explode(self, state: S) -> dict[str, object]:
        return {name: self.explode_field(state, name) for name in self._fields}

    def value(self, state: S, name: str) -> object:
        return getattr(state, name)

    def explode_field(self, state: S, name: str) -> object:
        return _plain(self.value(state, name), f"state.{name}")


def _convert(values: dict[str, object], state_type: type[S], names: frozenset[str]) -> S:
    known = {name: value for name, value in values.items() if name in names}
    try:
        return msgspec.convert(known, state_type, builtin_types=_KEPT, str_keys=True)
    except msgspec.ValidationError as error:
        reason = f"its fields do not fit {state_type.__qualname__} ({error})"
        raise UnreadableConversation("state", reason) from error


def _plain(value: object, where: str = "state") -> object:
    try:
        plain: object = msgspec.to_builtins(value, builtin_types=_KEPT, str_keys=True)
    except (TypeError, RecursionError) as error:
        raise UnsupportedValue(where, str(error)) from error
    return plain


class Model(Protocol):
    """As much of a Pydantic model as is needed, so that Pydantic is not."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, *, by_name: bool) -> Any: ...

    def model_dump(
        self,
        *,
        mode: str,
        by_alias: bool,
        round_trip: bool,
        warnings: bool,
        include: set[str] | None = None,
    ) -> dict[str, object]: ...


class ModelKind:
    """A Pydantic model."""

    def __init__(self, state_type: type[Model], names: frozenset[str]) -> None:
        self.names: frozenset[str] | None = names
        self.state_type = state_type

    def build(self, values: dict[str, object]) -> Model:
        known = {name: value for name, value in values.items() if name in (self.names or ())}
        try:
            # As JSON, so that a strict model takes back a date from the text that it was.
            data = msgspec.json.encode(known)
            return cast("Model", self.state_type.model_validate_json(data, by_name=True))
        except ValueError as error:
            # Pydantic's message shows the values, which have no place in a log.
            reason = f"its fields do not fit {self.state_type.__qualname__}"
            raise UnreadableConversation("state", reason) from error

    def explode(self, state: Model) -> dict[str, object]:
        dumped = _dumped(state, None, "state")
        return {name: value for name, value in dumped.items() if name in (self.names or ())}

    def value(self, state: Model, name: str) -> object:
        return getattr(state, name)

    def explode_field(self, state: Model, name: str) -> object:
        return _dumped(state, {name}, f"state.{name}").get(name)


def _dumped(state: Model, include: set[str] | None, where: str) -> dict[str, object]:
    try:
        return state.model_dump(
            mode="json", by_alias=False, round_trip=True, warnings=False, include=include
        )
    except ValueError as error:  # PydanticSerializationError is one
        raise UnsupportedValue(where, str(error)) from error


def _typed(state_type: type[S]) -> StateKind[S]:
    if not isinstance(state_type, type):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"state_type={state_type!r} is not a class")
    if issubclass(state_type, msgspec.Struct):
        fields = msgspec.structs.fields(state_type)
        return StructKind(state_type, {field.encode_name: field.name for field in fields})
    if dataclasses.is_dataclass(state_type):
        names = frozenset(field.name for field in dataclasses.fields(state_type))
        return DataclassKind(state_type, names)
    model_fields: object = getattr(state_type, "model_fields", None)
    if isinstance(model_fields, dict):
        config: Mapping[str, object] = getattr(state_type, "model_config", {})
        if config.get("extra") == "allow":
            raise ConfigurationError(
                f"state_type={state_type.__qualname__} allows extra fields, which have no type to "
                'come back as: declare them, or leave extra="allow" out'
            )
        names = frozenset(cast("dict[str, object]", model_fields))
        return cast("StateKind[S]", ModelKind(cast("type[Model]", state_type), names))
    raise ConfigurationError(
        f"state_type={state_type.__qualname__} is not supported: "
        "use dict, a msgspec.Struct, a dataclass or a Pydantic model"
    )
