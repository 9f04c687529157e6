"""How one type of state is stored field by field, and which kind a type is of."""

import dataclasses
from typing import Protocol, TypeVar, cast

import msgspec

from jv_session_mw.errors import ConfigurationError, UnreadableConversation, UnsupportedValue
from jv_session_mw.state.converted import dataclass_kind, struct_kind
from jv_session_mw.state.dict import DictKind
from jv_session_mw.state.pydantic import Model, model_kind

S = TypeVar("S")


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
        return cast("StateKind[S]", struct_kind(state_type))
    if dataclasses.is_dataclass(state_type):
        return cast("StateKind[S]", dataclass_kind(state_type))
    declared: object = getattr(state_type, "model_fields", None)
    if isinstance(declared, dict):
        model = model_kind(cast("type[Model]", state_type), cast("dict[str, object]", declared))
        return cast("StateKind[S]", model)
    raise ConfigurationError(
        f"state_type={state_type.__qualname__} is not supported: "
        "use dict, a msgspec.Struct, a dataclass or a Pydantic model"
    )
