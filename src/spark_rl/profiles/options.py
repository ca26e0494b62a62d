"""Command-line words of Isaac Lab's scripts: read, checked and written back."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spark_rl import text
from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

Type = Literal["str", "int", "float", "bool", "csv"]
Table = Mapping[str, "Option"]

KIT_ARGS = "--kit_args"
BOOL_WORDS = ("y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0")

_KINDS: Mapping[Type, str] = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a script.

    ``name`` is spelled as the script spells it, ``aliases`` are its other spellings; an alias of a flag that starts
    with ``--no-`` switches it off. ``takes`` is ``optional`` where a value may be left out. A ``bool`` is a word such
    as ``true``; a ``csv`` is a comma list of ``choices``, in which ``none`` stands alone.
    """

    name: str
    takes: Literal["flag", "value", "optional"]
    type: Type = "str"
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every spelling the script accepts."""
        return (self.name, *self.aliases)

    @property
    def negative(self) -> str | None:
        """The spelling that switches a flag off, None when it has none."""
        return next((alias for alias in self.aliases if alias.startswith("--no-")), None)


def parse(tokens: Sequence[str], table: Table) -> tuple[tuple[Option, str | None], ...]:
    """Read ``tokens`` as a script with the options of ``table`` does, but take no abbreviation.

    A flag and an option without its optional value have the value None; a flag switched off has ``"false"``.

    Raises:
        RequestError: An option is unknown, or its value missing, of the wrong type or none of its choices.
    """
    index = {_key(spelling): option for spelling, option in table.items()}
    left = deque(tokens)
    found: list[tuple[Option, str | None]] = []
    while left:
        spelling, equals, attached = left.popleft().partition("=")
        option = index.get(_key(spelling))
        if option is None:
            raise _unknown(spelling, table)
        value = attached if equals else _following(option, left)
        _check(option, spelling, value)
        found.append((option, "false" if option.negative and _key(spelling) == _key(option.negative) else value))
    return tuple(found)


def render(option: Option, value: str | None) -> tuple[str, ...]:
    """Return the argv words that :func:`parse` reads as ``option`` and ``value``.

    A value is fused to its name: argparse takes a separate one that starts with a dash for an option.
    """
    if option.takes == "flag" and value == "false" and option.negative:
        return (option.negative,)
    if option.takes == "flag" or value is None:
        return (option.name,)
    return (f"{option.name}={value}",)


def nearest(name: str, table: Table) -> tuple[str, ...]:
    """Return the names of ``table`` that ``name`` abbreviates or resembles, best first, at most three."""
    abbreviated = [option.name for spelling, option in table.items() if _key(spelling).startswith(_key(name))]
    similar = [table[spelling].name for spelling in text.nearest(name, table)]
    return tuple(dict.fromkeys((*abbreviated, *similar)))[:3]


def _key(spelling: str) -> str:
    """Return what two spellings of one option share: an underscore and a dash are the same."""
    return spelling.replace("_", "-")


def _unknown(word: str, table: Table) -> RequestError:
    if not word.startswith("-"):
        return RequestError(f"unexpected word {word!r}", "options start with --, overrides are KEY=VALUE")
    close = nearest(word, table) if len(word) > 2 else ()
    hint = f"did you mean {text.either(close)}?" if close else "what follows -- reaches Isaac Lab's script untouched"
    return RequestError(f"unknown option {word}", hint)


def _following(option: Option, left: deque[str]) -> str | None:
    """Take the value of ``option`` off ``left``, by argparse's rule for what is a value."""
    if option.takes == "flag" or not left:
        return None
    word = left[0]
    if option.takes == "optional":
        return left.popleft() if word.lower() in BOOL_WORDS else None
    looks_like_value = not word.startswith("-") or " " in word or _NEGATIVE_NUMBER.fullmatch(word)
    return left.popleft() if looks_like_value or option.name == KIT_ARGS else None


def _check(option: Option, spelling: str, value: str | None) -> None:
    if value is None and option.takes == "value":
        raise RequestError(f"{spelling} needs a value", f"write {spelling}={_example(option)}")
    if value is None:
        return
    if option.takes == "flag":
        raise RequestError(f"{spelling} takes no value", f"write {spelling} alone, or leave it out")
    if not _is_of_type(option.type, value):
        raise RequestError(f"{spelling} takes {_KINDS[option.type]}, not {value!r}", f"write {spelling}=VALUE")
    items = _items(option, value)
    wrong = [item for item in items if option.choices and item not in option.choices]
    if wrong:
        raise RequestError(f"{spelling} takes {text.either(option.choices)}, not {wrong[0]!r}")
    if option.type == "csv" and "none" in items[1:] + items[:-1]:
        raise RequestError(f"{spelling}: none stands alone, not in {value!r}")


def _example(option: Option) -> str:
    return "|".join(option.choices) or {"int": "N", "float": "X"}.get(option.type, "VALUE")


def _is_of_type(kind: Type, value: str) -> bool:
    if kind == "bool":
        return value.lower() in BOOL_WORDS
    if kind not in ("int", "float"):
        return True
    try:
        (int if kind == "int" else float)(value)
    except ValueError:
        return False
    return True


def _items(option: Option, value: str) -> list[str]:
    """Return ``value`` as the script compares it with the choices."""
    if option.type == "csv":
        return value.strip().lower().split(",")
    return [str(int(value)) if option.type == "int" else value]
