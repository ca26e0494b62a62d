"""A run as JSON and back: strict about types, tolerant of keys that a newer spark-rl added."""

from __future__ import annotations

import math
import types
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from spark_rl.records import Run

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = "spark-rl/state/1"

Document = dict[str, Any]
Kind = TypeVar("Kind")


def encode(run: Run) -> Document:
    """Return a run as the document of ``state.json``; what is not known is left out.

    Numbers that JSON has no word for count as unknown.
    """
    return {"schema": SCHEMA} | _known(asdict(run))


def decode(document: object) -> Run:
    """Return the run that a document describes; keys that are not known do not count.

    Raises:
        ValueError: It describes none: a key is missing or holds another type.
    """
    return read(Run, document)


def read(kind: type[Kind], document: object) -> Kind:
    """Return the value of a frozen ``kind`` that a document describes; keys that are not known do not count.

    Raises:
        ValueError: It describes none: a key is missing or holds another type.
    """
    value = _reader(cast("Any", kind))(document, "the record")
    assert isinstance(value, kind)  # noqa: S101 - the reader was made of that class
    return value


def _known(values: Document) -> Document:
    plain = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return _known(value)
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


if TYPE_CHECKING:
    Reader = Callable[[Any, str], Any]


@cache
def _reader(kind: Any) -> Reader:
    """Return what turns a JSON value into a value of ``kind``; made once, since thousands of runs are read."""
    if is_dataclass(kind) and isinstance(kind, type):
        return _record_reader(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _literal_reader(arguments)
    if origin in (Union, types.UnionType):
        return _optional_reader(_reader(next(argument for argument in arguments if argument is not types.NoneType)))
    if origin is tuple:
        many = arguments[-1] is ...
        return _list_reader(arguments[0]) if many else _tuple_reader(tuple(map(_reader, arguments)))
    return _plain_reader(kind)


def _record_reader(kind: type) -> Reader:
    hints = get_type_hints(kind)
    table = {field.name: (_accepted(hints[field.name]), _reader(hints[field.name])) for field in fields(kind)}
    required = frozenset(field.name for field in fields(kind) if field.default is MISSING)

    def read(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise ValueError(f"{where} is not an object")
        given = {}
        for name, item in value.items():
            if name in table:
                accepted, reader = table[name]
                given[name] = item if type(item) in accepted else reader(item, name)
        if not given.keys() >= required:
            raise ValueError(f"{where} has no {', '.join(sorted(required - given.keys()))}")
        return kind(**given)

    return read


def _accepted(kind: Any) -> frozenset[type]:
    """Return the types of values that need no reader: most of them, and it takes half the time to know it here."""
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    plain = {part for part in parts if part in (str, int, float, bool, types.NoneType)}
    return frozenset(plain | ({int} if float in plain else set()))


def _literal_reader(choices: tuple[Any, ...]) -> Reader:
    known = frozenset(choices)

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, str) or (value not in known and "unknown" not in known):
            raise ValueError(f"{where} is {value!r}")
        return value if value in known else "unknown"

    return read


def _optional_reader(reader: Reader) -> Reader:
    return lambda value, where: None if value is None else reader(value, where)


def _list_reader(kind: Any) -> Reader:
    accepted, reader = _accepted(kind), _reader(kind)

    def read(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise ValueError(f"{where} is not a list")
        return tuple([item if type(item) in accepted else reader(item, where) for item in value])

    return read


def _tuple_reader(readers: tuple[Reader, ...]) -> Reader:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise ValueError(f"{where} is {value!r}")
        return tuple(reader(item, where) for reader, item in zip(readers, value, strict=True))

    return read


def _plain_reader(kind: type) -> Reader:
    accepted = (int, float) if kind is float else (kind,)

    def read(value: Any, where: str) -> Any:
        # A yes or no is an int to isinstance.
        if type(value) not in accepted:
            raise ValueError(f"{where} is {value!r}"[:80])
        return value

    return read
