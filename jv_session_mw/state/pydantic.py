"""The app's own data as a Pydantic model, without importing Pydantic."""

import inspect
from collections.abc import Mapping
from typing import Any, Protocol, cast

import msgspec

from jv_session_mw.errors import ConfigurationError, UnreadableConversation, UnsupportedValue
from jv_session_mw.state.made_up import made_up_by


class Model(Protocol):
    """The part of a Pydantic model that is used here."""

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
    """A Pydantic model, stored under the names of its fields, never under their aliases."""

    def __init__(
        self, state_type: type[Model], names: frozenset[str], made_up: frozenset[str]
    ) -> None:
        self.names: frozenset[str] | None = names
        self.made_up = made_up
        self.state_type = state_type
        self._fields = names

    def build(self, values: dict[str, object]) -> Model:
        known = {name: value for name, value in values.items() if name in self._fields}
        try:
            # As JSON, since only then a strict model takes a date from a text.
            data = msgspec.json.encode(known)
            return cast("Model", self.state_type.model_validate_json(data, by_name=True))
        except ValueError as error:
            # Pydantic's message shows the values, which have no place in a log.
            reason = f"its fields do not fit {self.state_type.__qualname__}"
            raise UnreadableConversation("state", reason) from error

    def dump(self, state: Model) -> dict[str, object]:
        dumped = _dumped(state, None, "state")
        return {name: value for name, value in dumped.items() if name in self._fields}

    def dump_field(self, state: Model, name: str) -> object:
        return _dumped(state, {name}, f"state.{name}").get(name)

    def value(self, state: Model, name: str) -> object:
        return getattr(state, name)


def model_kind(model: type[Model], declared: Mapping[str, object]) -> ModelKind:
    """Return the kind for a Pydantic model with its *declared* fields.

    Raises `ConfigurationError` for a model of an old Pydantic, or one that allows extra fields.
    """
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
    return ModelKind(model, frozenset(declared), made_up_by(factories))


def _dumped(state: Model, include: set[str] | None, where: str) -> dict[str, object]:
    try:
        return state.model_dump(
            mode="json", by_alias=False, round_trip=True, warnings=False, include=include
        )
    except ValueError as error:  # PydanticSerializationError is one
        raise UnsupportedValue(where, str(error)) from error
