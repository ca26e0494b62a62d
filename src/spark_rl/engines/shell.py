"""Commands as lines of a batch script that a person can read, and that holds no secret."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from spark_rl import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VARIABLE = "SPARK_RL_SECRET_{}"
"""Holds a secret of a command: an engine keeps scripts where others may read them, and passes the environment on."""

_WIDTH = 100


def secrets(commands: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the words that hold a secret, each with the name of the variable that has it in a script."""
    pairs = (pair for command in commands for pair in zip(command, redact.words(command), strict=True))
    found = dict.fromkeys(word for word, shown in pairs if word != shown)
    return {word: VARIABLE.format(number) for number, word in enumerate(found, 1)}


def variables(hidden: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a script needs for its secrets."""
    return {name: _parted(word)[1] for word, name in hidden.items()}


def wrapped(words: Sequence[str], hidden: Mapping[str, str], indent: str = "  ") -> str:
    """Return words as shell: an option stays with its value, and a secret is taken from its variable.

    Args:
        words: The command.
        hidden: What :func:`secrets` returned.
        indent: Stands before each line but the first.
    """
    lines: list[str] = []
    before = ""
    for word in words:
        text = _shown(word, hidden[word]) if word in hidden else shlex.quote(word)
        is_value = before.startswith("--") and "=" not in before and not word.startswith("-")
        if lines and (is_value or len(lines[-1]) + len(text) < _WIDTH):
            lines[-1] += f" {text}"
        else:
            lines.append(text)
        before = word
    return f" \\\n{indent}".join(lines)


def _shown(word: str, name: str) -> str:
    key, _ = _parted(word)
    return f'{shlex.quote(key) if key else ""}"${{{name}:?}}"'  # whoever submits the script by hand is told what lacks


def _parted(word: str) -> tuple[str, str]:
    """Return what of a word may be shown, and what may not: all of it but a key."""
    key, sign, value = word.partition("=")
    return (f"{key}=", value) if sign and redact.word(key) == key else ("", word)
