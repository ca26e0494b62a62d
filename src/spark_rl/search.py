"""Finding tasks: words that forgive case, dashes and one slip of the finger each, and filters by what a task is."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from spark_rl.errors import RequestError
from spark_rl.model import ALGORITHMS, LIBRARIES
from spark_rl.text import did_you_mean, either, fold, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_rl.catalog import Catalog
    from spark_rl.model import Task

__all__ = ["FILTERS", "Query", "find", "grouped", "suggest"]

CATEGORIES = (
    "classic control",
    "locomotion (flat)",
    "locomotion (rough)",
    "navigation",
    "flight",
    "loco-manipulation",
    "manipulation",
    "contact-rich",
    "dexterous manipulation",
    "multi-agent",
    "AMP (motion priors)",
)
"""The order in which categories are shown, each before what its name begins; others follow by name."""

_PIECE = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d+[a-z]?|[A-Z]+|\d+\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the wanted tasks have in common; every word and every filter must fit.

    ``physics`` fits a task's default and its options (``newton`` fits ``newton_mjwarp``), and ``kitless`` every task
    whose default physics needs no Isaac Sim. The flags ask for what they name; False does not ask.
    """

    words: tuple[str, ...] = ()
    category: str | None = None
    robot: str | None = None
    library: str | None = None
    algorithm: str | None = None
    physics: str | None = None
    multi_agent: bool = False
    amp: bool = False
    cameras: bool = False
    trainable: bool = False


FILTERS = tuple(field.name for field in fields(Query) if field.name != "words")
"""Every filter by name."""


def find(catalog: Catalog, query: Query) -> Catalog:
    """Return the catalogue of the tasks that fit: by category, in each the best match first.

    A word may have one typing error where nothing is spelled exactly so.

    Raises:
        RequestError: The library or the algorithm is none that there is.
    """
    _check(query)
    fitting = [task for task in catalog.tasks if _passes(task, query)]
    words = tuple(filter(None, map(fold, query.words)))
    scores = _scored(fitting, words, slips=False) or _scored(fitting, words, slips=True)
    best: dict[str, int] = {}
    for task, score in scores:
        best[_group(task)] = max(score, best.get(_group(task), 0))

    def place(pair: tuple[Task, int]) -> tuple[int, tuple[int, str], int, int, str]:
        task, score = pair
        return -best[_group(task)], _rank(_group(task)), -score, len(task.id) if words else 0, task.id

    ordered = sorted(scores, key=place)
    return replace(catalog, tasks=tuple(task for task, _ in ordered), stamp=None)


def grouped(tasks: Iterable[Task]) -> tuple[tuple[str, tuple[Task, ...]], ...]:
    """Return (category, tasks) pairs in the order of ``tasks``; tasks without a category are under their package."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(_group(task), []).append(task)
    return tuple((category, tuple(members)) for category, members in groups.items())


def suggest(catalog: Catalog, query: Query) -> str:
    """Return what to ask for instead, when nothing fits."""
    for name in ("category", "robot", "physics"):
        value, known = getattr(query, name), _known(catalog, name)
        if value is not None and not any(fold(value) in fold(each) for each in known):
            return _one_of(value, known, name)
    for name in _asked(query):
        count = len(find(catalog, _without(query, name)).tasks)
        if count:
            return f"without --{name.replace('_', '-')} there are {count}"
    near = catalog.nearest("".join(query.words)) if query.words else ()
    return f"nearest names: {', '.join(near)}" if near else "list-envs without words shows all tasks"


def _check(query: Query) -> None:
    if query.library is not None and query.library not in LIBRARIES:
        raise RequestError(f"unknown RL library: {query.library}", did_you_mean(query.library, LIBRARIES, "libraries"))
    if query.algorithm is not None and query.algorithm.upper() not in ALGORITHMS:
        raise RequestError(
            f"unknown algorithm: {query.algorithm}", did_you_mean(query.algorithm.upper(), ALGORITHMS, "algorithms")
        )


def _passes(task: Task, query: Query) -> bool:
    libraries = task.libraries if query.library is None else tuple({query.library} & {*task.libraries})
    return (
        (query.category is None or fold(query.category) in fold(task.category or ""))
        and (query.robot is None or fold(query.robot) in fold(task.robot or ""))
        and (query.library is None or bool(libraries))
        and (query.algorithm is None or any(query.algorithm.upper() in task.algorithms(each) for each in libraries))
        and (query.physics is None or _runs(task, fold(query.physics)))
        and all(getattr(task, name) for name in _FLAGS if getattr(query, name))
    )


_FLAGS = ("multi_agent", "amp", "cameras", "trainable")


def _runs(task: Task, physics: str) -> bool:
    if physics == "kitless":
        return task.kitless is True
    return any(physics in fold(name) for name in (task.physics or "", *task.physics_options))


def _scored(tasks: Iterable[Task], words: Sequence[str], *, slips: bool) -> list[tuple[Task, int]]:
    """Return the tasks that every word fits, with how well: 0 without words."""
    patterns = [_slip(word) if slips and len(word) > 3 else None for word in words]
    found = []
    for task in tasks:
        name = _Name(task)
        scores = [name.score(word, pattern) for word, pattern in zip(words, patterns, strict=True)]
        if all(scores):
            found.append((task, sum(scores)))
    return found


class _Name:
    """A task's id as words see it: its letters, and where in them a part of the id begins."""

    def __init__(self, task: Task) -> None:
        pieces = [piece.lower() for part in re.split(r"[-_:]", task.id) for piece in _PIECE.findall(part)]
        self.letters = "".join(pieces)
        self.starts = [len("".join(pieces[:place])) for place in range(len(pieces))]
        self.pieces = frozenset(pieces) | {fold(part) for part in task.id.split("-")}
        self.known = _said(task.robot, task.category)
        self.summary = _said(task.summary)

    def score(self, word: str, slip: re.Pattern[str] | None) -> int:
        """Return how well a word fits: 0 not at all, more for a whole part than for a piece of one."""
        known = len(word) > 2 and f" {word}" in self.known
        if word in self.pieces:
            return 6 + known
        if any(self.letters.startswith(word, start) for start in self.starts):
            return 5 + known
        if len(word) > 2 and word in self.letters:
            return 4 + known
        if known:
            return 3
        if len(word) > 3 and f" {word}" in self.summary:
            return 2
        return int(slip is not None and any(slip.match(self.letters, start) for start in self.starts))


def _said(*texts: str | None) -> str:
    """Return texts so that a blank stands before each of their words."""
    return fold(" ".join(("", *(text or "" for text in texts))).replace("(", ""))


def _slip(word: str) -> re.Pattern[str]:
    """Return what a word with one letter wrong, missing, too many or swapped looks like."""
    parts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    texts = {f"{re.escape(a)}.?{re.escape(b[1:])}" for a, b in parts if b}
    texts |= {f"{re.escape(a)}.{re.escape(b)}" for a, b in parts}
    texts |= {re.escape(a + b[1] + b[0] + b[2:]) for a, b in parts if len(b) > 1}
    return re.compile("|".join(sorted(texts)))


def _group(task: Task) -> str:
    return task.category or ("other" if task.package.startswith("isaaclab_tasks") else task.package)


def _rank(group: str) -> tuple[int, str]:
    return next((at for at, name in enumerate(CATEGORIES) if group.startswith(name)), len(CATEGORIES)), group


def _known(catalog: Catalog, name: str) -> tuple[str, ...]:
    if name == "physics":
        values = {option for task in catalog.tasks for option in (task.physics, *task.physics_options)} | {"kitless"}
    else:
        values = {getattr(task, name) for task in catalog.tasks}
    return tuple(sorted(value for value in values if value))


def _one_of(value: str, known: tuple[str, ...], what: str) -> str:
    close = nearest(value, known) or tuple(each for each in known if fold(value)[:4] in fold(each))[:3]
    return f"did you mean --{what} {either(f'{each!r}' for each in close)}?" if close else f"{what}: {', '.join(known)}"


def _without(query: Query, name: str) -> Query:
    nothing: Any = None if isinstance(getattr(query, name), str) else False
    return replace(query, **{name: nothing})


def _asked(query: Query) -> tuple[str, ...]:
    return tuple(name for name in FILTERS if getattr(query, name))
