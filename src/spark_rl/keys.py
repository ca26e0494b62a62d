"""The keys of TOML tables: which there are, and what they may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_rl.errors import RequestError
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def checked(
    table: Mapping[str, Any],
    keys: Mapping[str, type | tuple[type, ...]],
    where: str,
    words: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a table whose keys and types are known.

    Args:
        table: What was read.
        keys: The known keys, with the type (or types) of each.
        where: The file, or the table in it, for the message.
        words: What a key may say as well, whatever its type.

    Raises:
        RequestError: A key is unknown, or a value is of the wrong type.
    """
    for name, value in table.items():
        if name not in keys:
            raise RequestError(f"{where} has an unknown key: {name}", did_you_mean(name, keys, "known keys"))
        expected, word = keys[name], (words or {}).get(name)
        kinds = expected if isinstance(expected, tuple) else (expected,)
        if type(value) not in kinds and (word is None or value != word):
            told = _named(kinds) + (f' or "{word}"' if word else "")
            raise RequestError(f"{name} in {where} must be {told}", f"it holds {value!r}")
    return dict(table)


def _named(kinds: tuple[type, ...]) -> str:
    return "a number" if set(kinds) == {int, float} else " or ".join(_NAMES[kind] for kind in kinds)
