"""Sorting command-line words: spark-rl's own options, the script's, overrides, and what follows ``--``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from spark_rl import profiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def split_passthrough(argv: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words before the first ``--`` and those after it."""
    if "--" not in argv:
        return tuple(argv), ()
    at = list(argv).index("--")
    return tuple(argv[:at]), tuple(argv[at + 1 :])


def normalized(argv: Iterable[str], own: Iterable[str]) -> tuple[str, ...]:
    """Return ``argv`` with spark-rl's own options spelled with dashes: ``--num_envs=8`` is ``--num-envs=8``."""
    known = frozenset(own)
    return tuple(_normalized(word, known) for word in argv)


def _normalized(word: str, known: frozenset[str]) -> str:
    name, equals, value = word.partition("=")
    dashed = name.replace("_", "-")
    return f"{dashed}{equals}{value}" if name.startswith("--") and dashed in known else word


def split_overrides(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the script's option words and the overrides (``KEY=VALUE``, ``+key=``, ``~key``), each in order.

    The value of an option stays with it, even where it looks like an override.
    """
    table = {name.replace("_", "-"): option for name, option in profiles.vocabulary().items()}
    left, options, overrides = deque(words), [], []
    while left:
        word = left.popleft()
        if word.startswith("-"):
            options.append(word)
            option = table.get(word.partition("=")[0].replace("_", "-"))
            if option is not None and option.takes == "value" and "=" not in word and left:
                options.append(left.popleft())
        elif is_override(word):
            overrides.append(word)
        else:
            options.append(word)
    return tuple(options), tuple(overrides)


def is_override(word: str) -> bool:
    """Say whether a word is a Hydra override."""
    return word.startswith("~") or ("=" in word and not word.startswith(("-", "=")))
