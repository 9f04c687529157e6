"""Whether a value has come back as it was, also where `==` compares by identity.

This must not be compiled: for a value that is nested too deeply Python raises `RecursionError`,
where compiled code would crash.
"""

import operator
from collections.abc import Mapping
from enum import Enum
from typing import cast

from jv_session_mw.tagging import with_offsets

# Where a msgspec.Struct, a dataclass and a Pydantic model name their fields.
_NAMES = ("__struct_fields__", "__dataclass_fields__", "model_fields")


def is_like(again: object, now: object) -> bool:
    """Say whether *again* equals *now*, or is of the same type with parts that are alike.

    What compares by identity never equals what was read. Without parts, its type is all that is
    known of it.
    """
    # `==` of a NumPy number gives no bool.
    if bool(operator.eq(again, now)) or bool(operator.eq(again, with_offsets(now))):
        return True
    if type(again) is not type(now):
        return False
    parts = _parts_of(now)
    if parts is None:
        return type(now).__eq__ is object.__eq__ and not isinstance(now, Enum)
    others = _parts_of(again) or {}
    return parts.keys() == others.keys() and all(
        is_like(others[name], part) for name, part in parts.items()
    )


def _parts_of(value: object) -> Mapping[object, object] | None:
    """Return the items or fields of *value* by their places, None when it has none."""
    if isinstance(value, dict):
        return cast("dict[object, object]", value)
    if isinstance(value, (list, tuple)):
        return dict(enumerate(cast("list[object]", value)))
    for attribute in _NAMES:
        names = getattr(type(value), attribute, None)
        if names is not None:
            return {name: getattr(value, name) for name in names}
    return None
