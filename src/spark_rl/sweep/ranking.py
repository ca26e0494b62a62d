"""What the trials of a sweep come to: seeds together, the best first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from spark_rl.figures import figure
from spark_rl.sweep import described, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spark_rl.sweep import Goal, Result, Sweep, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One combination of values over its seeds; ``iteration`` is how far the least trained of them came."""

    combination: int
    values: Values
    results: tuple[Result, ...]

    @property
    def whole(self) -> tuple[Result, ...]:
        """The trials that came to their end, and have a score."""
        return tuple(result for result in self.results if result.state == "complete" and result.score is not None)

    @property
    def scores(self) -> tuple[float, ...]:
        """The scores in the order of the seeds: of the trials that came to their end, or of all where none did."""
        return tuple(result.score for result in self.whole or self.results if result.score is not None)

    @property
    def median(self) -> float | None:
        """The median of the scores, None where there is none."""
        return median(self.scores) if self.scores else None

    @property
    def complete(self) -> bool:
        """Whether every seed was trained to its end, and has a score."""
        return len(self.whole) == len(self.results)

    @property
    def iteration(self) -> int:
        """How many iterations every seed has."""
        return min(result.iteration or 0 for result in self.results)

    @property
    def state(self) -> str:
        """How it is, in a word or two: ``complete``, or the states of its seeds."""
        if self.complete:
            return "complete"
        states = [result.state for result in self.results]
        told = dict.fromkeys(states)
        return ", ".join(state if len(told) == 1 else f"{states.count(state)} {state}" for state in told)


def ranked(results: Iterable[Result], goal: Goal) -> tuple[Row, ...]:
    """Return the combinations, the best first; those with fewer seeds at their end come later, then by how far."""
    groups: dict[int, list[Result]] = {}
    for result in results:
        groups.setdefault(result.trial.combination, []).append(result)
    rows = [Row(combination=at, values=group[0].trial.values, results=tuple(group)) for at, group in groups.items()]
    sign = -1 if goal == "max" else 1

    def order(row: Row) -> tuple[int, int, bool, float, int]:
        middle = row.median
        far = 0 if row.whole else -row.iteration
        return -len(row.whole), far, middle is None, sign * (middle or 0.0), row.combination

    return tuple(sorted(rows, key=order))


def best(rows: Sequence[Row]) -> Row | None:
    """Return the best combination, None where no trial came to its end."""
    return rows[0] if rows and rows[0].whole else None


def spread(row: Row) -> str:
    """Return the median of a row and, for several seeds, the range around it."""
    scores = row.scores
    if not scores:
        return "-"
    middle = figure(row.median)
    return middle if len(scores) == 1 else f"{middle} ({figure(min(scores))} to {figure(max(scores))})"


def recipe_text(recipe: Mapping[str, Any], sweep: Sweep, row: Row) -> str:
    """Return a recipe as a TOML file, with where it comes from as comments."""
    seeds = ", ".join(str(result.trial.seed) for result in row.whole)
    head = (
        f"# The best of the sweep {sweep.name}: {described(row.values)}",
        f"# {sweep.metric} {spread(row)}, seed{'s' * (len(row.whole) > 1)} {seeds}",
    )
    return "\n".join((*head, *(f"{name} = {_toml(value)}" for name, value in recipe.items()), ""))


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return text(value)
