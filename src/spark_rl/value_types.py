"""Types of configuration values: read from text, asked whether a value fits, said in words.

The text is Python's own spelling of a type in a few words: ``bool int float str None Any callable list dict tuple
Literal``, further ``object[Name]`` for what no literal can write and ``Enum[...]`` for members of an enumeration.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from spark_rl.text import either

__all__ = ["ANYTHING", "NOTHING", "Kind", "accepts", "functions", "loosened", "of", "parse", "say", "union"]

_CALLABLE = re.compile(r"[\w.{}]+:[\w.]+")
_SCHEDULE = re.compile(r"lin_[-+.\deE]+")
"""What sb3 of Isaac Lab takes for a number: one that falls to zero in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type: ``name``, the types ``inside`` it, and the values it is limited to.

    ``open_ended`` is True for a tuple of any length; a tuple has one type inside for each of its items.
    """

    name: str
    inside: tuple[Kind, ...] = ()
    choices: tuple[Any, ...] = ()
    open_ended: bool = False


ANYTHING = Kind(name="Any")
NOTHING = Kind(name="None")
NUMBER = Kind(name="number")
"""An unannotated number: whether it may have a fraction, nobody knows."""


@cache
def parse(text: str) -> Kind:
    """Return the type that a text means; :data:`ANYTHING` where it is none that is known here."""
    try:
        return _kind(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return ANYTHING


def _kind(node: ast.expr) -> Kind:
    if isinstance(node, ast.Constant) and node.value is None:
        return NOTHING
    if isinstance(node, ast.Name):
        return Kind(name=node.id)
    if isinstance(node, ast.BinOp):
        return union(_kind(node.left), _kind(node.right))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return _generic(node.value.id, node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])
    return ANYTHING


def _generic(name: str, arguments: list[ast.expr]) -> Kind:
    if name in ("Literal", "Enum"):
        return Kind(name=name, choices=tuple(ast.literal_eval(argument) for argument in arguments))
    if name == "object":
        return Kind(name=name, choices=tuple(ast.unparse(argument) for argument in arguments))
    shown = [each for each in arguments if not (isinstance(each, ast.Constant) and each.value is ...)]
    inside = tuple(_kind(argument) for argument in shown)
    return Kind(name=name, inside=inside, open_ended=len(shown) < len(arguments))


def union(*kinds: Kind) -> Kind:
    """Return the type of what fits any of ``kinds``."""
    parts = [part for kind in kinds for part in (kind.inside if kind.name == "union" else (kind,))]
    unique = tuple(dict.fromkeys(parts))
    if ANYTHING in unique:
        return ANYTHING
    return unique[0] if len(unique) == 1 else Kind(name="union", inside=unique)


def functions(kind: Kind) -> Kind:
    """Return the type without ``str`` where it takes functions: a text is there to name one."""
    if not any(part.name == "callable" for part in kind.inside) or kind.name != "union":
        return kind
    return union(*(part for part in kind.inside if part.name != "str"))


def of(value: Any) -> Kind:
    """Return the type of a value made of literals."""
    if value is None:
        return NOTHING
    if isinstance(value, tuple):
        return Kind(name="tuple", inside=tuple(of(item) for item in value))
    if isinstance(value, list):
        return Kind(name="list", inside=(union(*(of(item) for item in value)),) if value else ())
    return Kind(name=type(value).__name__)


def loosened(kind: Kind) -> Kind:
    """Return what a field may hold of which only one value is known: no annotation says what else it takes.

    Isaac Lab's YAML files write 0 for a coefficient and the text ``3e-4`` for a number, and null switches things off.
    """
    return kind if kind == ANYTHING else union(_loosened(kind), NOTHING)


def _loosened(kind: Kind) -> Kind:
    if kind.name in ("int", "float"):
        return NUMBER
    if kind.name == "str":
        return union(kind, NUMBER)
    if kind.name == "None":
        return ANYTHING
    if kind.name == "dict":
        return Kind(name="dict")
    if kind.name in ("list", "tuple", "union"):
        return Kind(name=kind.name, inside=tuple(_loosened(each) for each in kind.inside))
    return kind


def accepts(kind: Kind, value: Any) -> bool:
    """Say whether a value fits; a whole number is a number, a list serves for a tuple and a tuple for a list."""
    if kind.name == "union":
        return any(accepts(each, value) for each in kind.inside)
    if kind.name in ("Literal", "Enum"):
        plain = kind.name == "Literal"
        return plain and any(type(value) is type(choice) and value == choice for choice in kind.choices)
    if kind.name in ("list", "tuple"):
        return isinstance(value, list | tuple) and _accepts_items(kind, value)
    if kind.name == "dict":
        values = kind.inside[1] if len(kind.inside) > 1 else ANYTHING
        return isinstance(value, dict) and all(accepts(values, item) for item in value.values())
    return _accepts_plain(kind.name, value)


def _accepts_items(kind: Kind, items: list[Any] | tuple[Any, ...]) -> bool:
    if kind.name == "list" or kind.open_ended:
        return not kind.inside or all(accepts(kind.inside[0], item) for item in items)
    if not kind.inside:
        return True
    same = len(items) == len(kind.inside)
    return same and all(accepts(each, item) for each, item in zip(kind.inside, items, strict=True))


def _accepts_plain(name: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == "number":
        return number or (isinstance(value, str) and _SCHEDULE.fullmatch(value) is not None)
    if name == "float":
        return number
    if name == "callable":
        return isinstance(value, str) and _CALLABLE.fullmatch(value) is not None
    if name == "None":
        return value is None
    return name == "Any" or (name != "object" and type(value).__name__ == name)


_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "number": "a number",
    "str": "a text",
    "bool": "true or false",
    "None": "null",
    "callable": "a function (module:name)",
    "dict": "a dict",
    "list": "a list",
    "Any": "anything",
}
_PLURALS = {"int": "whole numbers", "float": "numbers", "number": "numbers", "str": "texts", "bool": "truth values"}


def say(kind: Kind) -> str:
    """Return a type in words, such as ``3 numbers`` or ``a whole number or null``."""
    if kind.name == "union":
        return either(dict.fromkeys(say(each) for each in kind.inside))
    if kind.name in ("Literal", "Enum"):
        return either(dict.fromkeys(str(choice) for choice in kind.choices))
    if kind.name == "object":
        return f"{kind.choices[0]} (no text can write one)" if kind.choices else "an object (no text can write one)"
    if kind.name == "list" or kind.open_ended:
        return f"a list of {_plural(kind.inside[0])}" if kind.inside else "a list"
    if kind.name == "tuple":
        return _tuple(kind.inside)
    return _NAMES.get(kind.name, kind.name)


def _tuple(inside: tuple[Kind, ...]) -> str:
    if not inside:
        return "a tuple"
    unique = set(inside)
    return f"{len(inside)} {_plural(inside[0])}" if len(unique) == 1 else f"({', '.join(say(each) for each in inside)})"


def _plural(kind: Kind) -> str:
    if kind.name == "union":
        return either(dict.fromkeys(_plural(each) for each in kind.inside))
    return _PLURALS.get(kind.name, f"items, each {say(kind)}")
