"""Frozen values from their JSON form, checked on the way."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def made_of(kind: Any, value: Any) -> Any:
    """Return a frozen value from its JSON form; keys of a newer spark-rl do not count.

    Raises:
        KeyError: A field without a default is missing.
        TypeError: A value is of another type.
    """
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is no record")
        hints, known = _hints(kind)
        given = {name: made_of(hints[name], value[name]) for name in known if name in value}
        return kind(**given)  # type: ignore[operator]
    origin = get_origin(kind)
    if origin is tuple:
        parts = get_args(kind)
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is no list")
        kinds = (parts[0],) * len(value) if parts[-1] is Ellipsis else parts
        return tuple(made_of(one, item) for one, item in zip(kinds, value, strict=True))
    if origin in (Union, UnionType):
        return None if value is None else made_of(next(one for one in get_args(kind) if one is not type(None)), value)
    if origin is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{value!r} is none of {get_args(kind)}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


@cache
def _hints(kind: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    return get_type_hints(kind), tuple(field.name for field in fields(kind))
