"""The app's own data about a conversation: a dict, or a typed object, and its stored fields."""

import dataclasses
import inspect
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Generic, Protocol, TypeVar, cast, get_origin
from uuid import UUID

import msgspec

from jv_session_mw.dict_state import DictKind
from jv_session_mw.errors import ConfigurationError, UnreadableConversation, UnsupportedValue
from jv_session_mw.pydantic_state import Model, ModelKind

S = TypeVar("S")

# The codec stores these by itself, so the conversion of typed objects leaves them as they are.
_KEPT = (bytes, datetime, date, time, timedelta, Decimal, UUID)
_EMPTY: Final = (list, dict, set, frozenset, tuple, bytearray)  # factories of an empty value


class StateKind(Protocol[S]):
    """How one type of state becomes named values, one stored field each, and back.

    `names` are the fields of the type, None when any name may be one. A stored field with another
    name belongs to an older or newer version of the type, and is left alone. `made_up` are the
    fields whose default may be another value each time, such as a random id or the time of day.
    """

    names: frozenset[str] | None
    made_up: frozenset[str]
    state_type: type

    def build(self, values: dict[str, object]) -> S:
        """Return the state, or raise `UnreadableConversation` when the values do not fit."""
        ...

    def dump(self, state: S) -> dict[str, object]:
        """Return the values to store by their names, or raise `UnsupportedValue`."""
        ...

    def dump_field(self, state: S, name: str) -> object:
        """Return the value to store for one field, or raise `UnsupportedValue` for it."""
        ...

    def value(self, state: S, name: str) -> object:
        """Return the value of the field *name* as the app sees it."""
        ...


def state_kind(state_type: type[S]) -> StateKind[S]:
    """Return the kind for *state_type*; raise `ConfigurationError` for what cannot be one.

    A type must be constructible without arguments, since a new conversation begins with it.
    """
    if state_type is dict:
        return cast("StateKind[S]", DictKind())
    kind = _typed(state_type)
    try:
        kind.dump(state_type())
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


def _typed(state_type: type[S]) -> StateKind[S]:
    if not isinstance(state_type, type):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"state_type={state_type!r} is not a class")
    if issubclass(state_type, msgspec.Struct):
        return cast("StateKind[S]", _of_struct(state_type))
    if dataclasses.is_dataclass(state_type):
        return cast("StateKind[S]", _of_dataclass(state_type))
    declared: object = getattr(state_type, "model_fields", None)
    if isinstance(declared, dict):
        model = _of_model(state_type, cast("dict[str, object]", declared))
        return cast("StateKind[S]", model)
    raise ConfigurationError(
        f"state_type={state_type.__qualname__} is not supported: "
        "use dict, a msgspec.Struct, a dataclass or a Pydantic model"
    )


def _of_struct(state_type: type[S]) -> "ConvertedKind[S]":
    struct = cast("type[msgspec.Struct]", state_type)
    fields, config = msgspec.structs.fields(struct), struct.__struct_config__
    return ConvertedKind(
        state_type,
        {field.encode_name: field.name for field in fields},
        _made_up({field.encode_name: field.default_factory for field in fields}),
        is_whole=config.tag is None and not config.omit_defaults,
    )


def _of_dataclass(state_type: type[S]) -> "ConvertedKind[S]":
    fields = dataclasses.fields(cast("Any", state_type))
    return ConvertedKind(
        state_type,
        {field.name: field.name for field in fields},
        _made_up({field.name: field.default_factory for field in fields}),
        is_whole=False,  # its defaults may live on the class
    )


def _of_model(state_type: type[S], declared: Mapping[str, object]) -> ModelKind:
    model = cast("type[Model]", state_type)
    if "by_name" not in inspect.signature(model.model_validate_json).parameters:
        raise ConfigurationError(
            f"state_type={model.__qualname__} is a model of an old Pydantic: install 2.11 or newer"
        )
    config: Mapping[str, object] = getattr(model, "model_config", {})
    if config.get("extra") == "allow":
        raise ConfigurationError(
            f"state_type={model.__qualname__} allows extra fields, which have no type to "
            'come back as: declare them, or leave extra="allow" out'
        )
    factories = {name: getattr(field, "default_factory", None) for name, field in declared.items()}
    return ModelKind(model, frozenset(declared), _made_up(factories))


def _made_up(factories: Mapping[str, object]) -> frozenset[str]:
    """Name the fields whose factory may make another value each time."""
    return frozenset(
        name
        for name, factory in factories.items()
        if callable(factory) and get_origin(factory) not in _EMPTY and factory not in _EMPTY
    )


class ConvertedKind(Generic[S]):
    """A `msgspec.Struct` or a dataclass, both of which msgspec converts.

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


def _plain(value: object, where: str) -> object:
    try:
        plain: object = msgspec.to_builtins(value, builtin_types=_KEPT, str_keys=True)
    except (TypeError, RecursionError) as error:
        raise UnsupportedValue(where, str(error)) from error
    return plain
