"""The fields that a state type makes up: their default may be another value each time."""

from collections.abc import Mapping
from typing import Final, get_origin

_EMPTY: Final = (list, dict, set, frozenset, tuple, bytearray)  # factories of an empty value


def made_up_by(factories: Mapping[str, object]) -> frozenset[str]:
    """Name the fields whose factory may make another value each time."""
    return frozenset(
        name
        for name, factory in factories.items()
        if callable(factory) and get_origin(factory) not in _EMPTY and factory not in _EMPTY
    )
