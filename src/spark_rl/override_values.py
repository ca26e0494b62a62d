"""The right side of an override as a value: as Isaac Lab 3.0 reads it, and as Hydra does."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hydra_literal", "literal", "spell"]

_WORDS = {"true": True, "false": False, "none": None, "null": None}
_HYDRA_WORDS = {"true": True, "false": False, "null": None}
_INTEGER = re.compile(r"[-+]?\d+(_\d+)*")
_FLOAT = re.compile(r"[-+]?(\d+(_\d+)*(\.\d*)?|\.\d+)(e[-+]?\d+)?|[-+]?inf|nan", re.IGNORECASE)


def literal(text: str) -> Any:
    """Return the value that Isaac Lab 3.0 reads from the right side of an override; a text where it is no literal."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def spell(value: Any) -> str:
    """Return a value as a literal; Python has none for infinity but a number that is too large."""
    if isinstance(value, float) and abs(value) == float("inf"):
        return "1e999" if value > 0 else "-1e999"
    if isinstance(value, list):
        return f"[{', '.join(spell(item) for item in value)}]"
    if isinstance(value, tuple):
        return f"({', '.join(spell(item) for item in value)}{',' if len(value) == 1 else ''})"
    return repr(value)


def hydra_literal(text: str) -> Any:
    """Return the value that Hydra reads from the right side of an override.

    Unlike Python it leaves texts unquoted, also in lists and dicts, and ``none`` is a text.
    """
    text = text.strip()
    if text[:1] in "[{" and text[-1:] in "]}" and text:
        items = list(_split(text[1:-1]))
        if text[0] == "[":
            return [hydra_literal(item) for item in items]
        pairs = (item.partition(":") for item in items)
        return {str(hydra_literal(key)): hydra_literal(value) for key, _, value in pairs}
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.lower() in _HYDRA_WORDS:
        return _HYDRA_WORDS[text.lower()]
    return _number(text)


def _number(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _split(text: str) -> Iterator[str]:
    """Yield the items between the commas of the outermost level."""
    depth, item, quote = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and not depth and not quote:
            yield item
            item = ""
        else:
            item += letter
    if item.strip():
        yield item
