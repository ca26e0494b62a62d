"""From a sweep to its trials: the grid, what is drawn, and the words of each trial for ``train``."""

from __future__ import annotations

from itertools import product
from math import log10
from typing import TYPE_CHECKING, Any

from spark_rl.sweep import OPTIONS, Parameter, Sweep, Trial, Values, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

DIGITS = 4
"""Digits that count of a number that is drawn: more of them tell nothing, and nobody could type them again."""


def trials(sweep: Sweep, draw: Callable[[], float]) -> tuple[Trial, ...]:
    """Return all trials, for each combination of values one with each seed.

    Args:
        sweep: One that is not searched by Optuna, whose combinations depend on results.
        draw: Returns the next random number, 0 to below 1.
    """
    return numbered(sweep, combinations(sweep, draw))


def numbered(sweep: Sweep, values: Iterable[Values]) -> tuple[Trial, ...]:
    """Return the trials of combinations of values, the seeds of one after the other."""
    pairs = ((at, one, seed) for at, one in enumerate(values, 1) for seed in sweep.seeds)
    return tuple(
        Trial(number=number, combination=at, seed=seed, values=one) for number, (at, one, seed) in enumerate(pairs, 1)
    )


def combinations(sweep: Sweep, draw: Callable[[], float]) -> Iterator[Values]:
    """Yield each point of the grid with as many draws as are wanted; no combination comes twice if that can be."""
    grids = [parameter for parameter in sweep.parameters if parameter.kind == "grid"]
    seen: set[str] = set()
    for point in product(*(parameter.values for parameter in grids)):
        fixed = {parameter.name: value for parameter, value in zip(grids, point, strict=True)}
        for _ in range(sweep.draws):
            yield _new(sweep, fixed, draw, seen)


_TRIES = 50
"""Draws after which a combination may come again: a small space has no other one."""


def _new(sweep: Sweep, fixed: dict[str, Any], draw: Callable[[], float], seen: set[str]) -> Values:
    found: Values = ()
    for _ in range(_TRIES):
        found = tuple(
            (one.name, fixed[one.name] if one.name in fixed else drawn(one, draw())) for one in sweep.parameters
        )
        if repr(found) not in seen:
            break
    seen.add(repr(found))
    return found


def drawn(parameter: Parameter, at: float) -> Any:
    """Return the value at a place (0 to below 1) of a parameter."""
    if parameter.values:
        return parameter.values[int(at * len(parameter.values))]
    low, high = parameter.low, parameter.high
    if parameter.whole:
        # One more: the upper end is a value too.
        wide = low * ((high + 1) / low) ** at if parameter.kind == "loguniform" else low + at * (high + 1 - low)
        return min(int(high), int(wide))
    exact = low * (high / low) ** at if parameter.kind == "loguniform" else low + at * (high - low)
    return min(high, max(low, rounded(exact, high - low if parameter.kind == "uniform" else exact)))


def rounded(number: float, size: float) -> float:
    """Return a number with :data:`DIGITS` digits of what has this size."""
    return round(number, DIGITS - 1 - int(log10(abs(size)) // 1)) if size else number


def corners(sweep: Sweep) -> tuple[Values, ...]:
    """Return combinations in which every listed value and every bound occurs: what can be checked of a space."""
    columns = {one.name: one.values or (one.low, one.high) for one in sweep.parameters}
    longest = max(map(len, columns.values()))
    return tuple(
        tuple((name, values[min(at, len(values) - 1)]) for name, values in columns.items()) for at in range(longest)
    )


def flags(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Return the flags of ``train`` for a trial, by the names of a request; overrides are not among them."""
    named = {name: value for name, value in sweep.recipe if name != "overrides"}
    named |= {name: value for name, value in trial.values if name in OPTIONS}
    named |= {"seed": trial.seed, "run_name": f"{sweep.name}-{trial.number}"}
    return named | ({"save_every": sweep.save_every} if sweep.save_every else {})


def overrides(sweep: Sweep, values: Values) -> tuple[str, ...]:
    """Return the overrides of a combination: the recipe's, but those that it has a value for, and its own."""
    own = {name: f"{name}={text(value)}" for name, value in values if name not in OPTIONS}
    words = sweep.common("overrides") or ()
    kept = (word for word in words if word.partition("=")[0].lstrip("+~") not in own)
    return (*kept, *own.values())


def recipe(sweep: Sweep, values: Values) -> dict[str, Any]:
    """Return the recipe of a combination, with the first of the sweep's seeds."""
    named = {name: value for name, value in sweep.recipe if name != "overrides"}
    named |= {name: value for name, value in values if name in OPTIONS}
    words = overrides(sweep, values)
    return named | {"seed": sweep.seeds[0]} | ({"overrides": list(words)} if words else {})


def coded(sweep: Sweep, values: Values) -> tuple[tuple[str, float], ...]:
    """Return values as a search knows them: what was chosen by its place in the list."""
    kinds = {one.name: one for one in sweep.parameters}
    return tuple((name, kinds[name].values.index(value) if kinds[name].values else value) for name, value in values)


def decoded(sweep: Sweep, given: Mapping[str, float]) -> Values:
    """Return the values that a search means, numbers with as many digits as a person would write."""
    return tuple((one.name, _decoded(one, given[one.name])) for one in sweep.parameters)


def _decoded(parameter: Parameter, value: float) -> Any:
    if parameter.values:
        return parameter.values[int(value)]
    if parameter.whole:
        return int(value)
    size = parameter.high - parameter.low if parameter.kind == "uniform" else value
    return min(parameter.high, max(parameter.low, rounded(value, size)))


def suggested(sweep: Sweep, number: int, given: Mapping[str, float]) -> Trial:
    """Return the trial of a number with the values that a search suggested for it."""
    group, at = divmod(number - 1, len(sweep.seeds))
    return Trial(number=number, combination=group + 1, seed=sweep.seeds[at], values=decoded(sweep, given))
