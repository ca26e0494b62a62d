"""Sorting command-line words: spark-rl's own options, the script's, overrides, and what follows ``--``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from spark_rl.errors import RequestError
from spark_rl.text import either, fold, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_rl.profiles import Option


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


def split_overrides(words: Iterable[str], own: Iterable[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the script's option words and the overrides (``KEY=VALUE``, ``+key=``, ``~key``), each in order.

    The value of an option stays with it, even where it looks like an override.

    Args:
        words: What spark-rl has no option for.
        own: The options it has, for suggestions.

    Raises:
        RequestError: A word is neither an override nor an option of any script.
    """
    from spark_rl.profiles import vocabulary

    table = {name.replace("_", "-"): option for name, option in vocabulary().items()}
    left, options, overrides = deque(words), [], []
    while left:
        word = left.popleft()
        option = table.get(word.partition("=")[0].replace("_", "-"))
        if option is not None:
            options.append(word)
            if "=" not in word and left and _has_value(option, left[0]):
                options.append(left.popleft())
        elif is_override(word):
            overrides.append(word)
        else:
            raise _unknown(word, (*vocabulary(), *own))
    return tuple(options), tuple(overrides)


def _has_value(option: Option, word: str) -> bool:
    from spark_rl.profiles.options import BOOL_WORDS

    return option.takes == "value" or (option.takes == "optional" and word.lower() in BOOL_WORDS)


_OF_TRAIN = ("--gpus", "--nnodes", "--node-rank", "--master-addr", "--master-port", "--engine", "--max-restarts")


def _unknown(word: str, known: tuple[str, ...]) -> RequestError:
    if not word.startswith("-"):
        return RequestError(
            f"unexpected word {word!r}", "a task is named by --task, options start with --, overrides are KEY=VALUE"
        )
    name = word.partition("=")[0]
    # Of two spellings the last one counts: spark-rl's own, with dashes.
    folded = {fold(spelling): spelling for spelling in known}
    if fold(name) not in folded and fold(name) in map(fold, _OF_TRAIN):
        return RequestError(f"{name} is an option of spark-rl train", "leave it out")
    abbreviated = [spelling for key, spelling in folded.items() if len(fold(name)) > 1 and key.startswith(fold(name))]
    close = tuple(dict.fromkeys((*abbreviated, *nearest(name, folded.values()))))[:3]
    hint = f"did you mean {either(close)}?" if close else "what follows -- reaches Isaac Lab's script untouched"
    return RequestError(f"unknown option {name}", hint)


def is_override(word: str) -> bool:
    """Say whether a word is a Hydra override."""
    return word.startswith("~") or ("=" in word and not word.startswith(("-", "=")))
