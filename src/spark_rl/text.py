"""Wording that every layer shares: suggestions and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Return the candidates most like ``word``, best first; case, dashes and underscores do not count."""
    from difflib import get_close_matches

    folded = {fold(candidate): candidate for candidate in candidates}
    return tuple(folded[match] for match in get_close_matches(fold(word), folded, n=limit, cutoff=0.6))


def fold(word: str) -> str:
    """Return ``word`` without what people mistype: case, dashes, underscores."""
    return word.casefold().replace("-", "").replace("_", "")


def did_you_mean(word: str, candidates: Iterable[str], what: str) -> str:
    """Return a hint: the nearest candidates, or all of them when none is near."""
    candidates = tuple(candidates)
    close = nearest(word, candidates)
    return f"did you mean {either(close)}?" if close else f"{what}: {', '.join(candidates)}"


def either(words: Iterable[str]) -> str:
    """Return ``a``, ``a or b``, ``a, b or c``."""
    words = tuple(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def cut(text: str, width: int) -> str:
    """Return ``text``, shortened to ``width`` characters with an ellipsis where it is longer."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
