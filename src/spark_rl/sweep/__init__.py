"""Sweeps as values: what is searched, the trials that come of it, and what each of them came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["grid", "choice", "uniform", "loguniform"]
Goal = Literal["max", "min"]
Search = Literal["random", "optuna"]
Scheduler = Literal["none", "asha"]
State = Literal["waiting", "running", "complete", "stopped", "failed", "unfinished"]
"""Of a trial: ``stopped`` by the scheduler for good, ``unfinished`` where something else ended it."""

OPTIONS: Mapping[str, type] = {"library": str, "algorithm": str, "num_envs": int, "max_iterations": int}
"""The options of ``train`` that a parameter may be; every other parameter is an override."""

METRICS = ("reward", "length", "fps")
"""Metrics that the progress of every run has by these names; each other one is a tag of its curves."""

Values = tuple[tuple[str, Any], ...]
"""Parameters and their values (texts, numbers, true or false, lists of these), in the order of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One dimension of the search.

    ``values`` are those of a grid or a choice, ``low`` and ``high`` the bounds of the other kinds, both included; where
    both are whole numbers, so is what is drawn.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return type(self.low) is int and type(self.high) is int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep's file says.

    ``recipe`` is what all trials have in common, by the keys of a recipe. ``draws`` is the number of combinations that
    are drawn (for each point of the grid), ``time_s`` the seconds after which the sweep ends, ``parallel`` the most
    trials at once. ``grace`` is the iteration before which ASHA stops nothing, ``reduction`` its factor: at each of its
    rungs the best 1/``reduction`` go on. ``cpus``, ``gpus`` and ``memory_mib`` are for one trial, None: not said.
    """

    name: str
    recipe: Values
    parameters: tuple[Parameter, ...]
    seeds: tuple[int, ...]
    metric: str = "reward"
    goal: Goal = "max"
    search: Search = "random"
    search_seed: int = 0
    scheduler: Scheduler = "none"
    grace: int | None = None
    reduction: int = 3
    draws: int = 1
    time_s: float | None = None
    parallel: int | None = None
    cpus: int | None = None
    gpus: float | None = None
    memory_mib: int | None = None
    save_every: str | None = None

    def common(self, key: str) -> Any:
        """Return what the recipe says under a key, None where it says nothing."""
        return dict(self.recipe).get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training of a sweep; those of one ``combination`` of values differ in their seed. Numbers begin with 1."""

    number: int
    combination: int
    seed: int
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How far a trial is; ``score`` is its newest value of the sweep's metric, ``run`` the id of its record."""

    trial: Trial
    state: State = "waiting"
    run: str | None = None
    iteration: int | None = None
    max_iterations: int | None = None
    score: float | None = None
    node: str | None = None
    message: str | None = None

    @property
    def decided(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.state in ("complete", "stopped", "failed")


def text(value: object) -> str:
    """Return a value as Hydra reads it, which is also how a person does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(text(item) for item in value)}]"
    return f"{value:.6g}" if isinstance(value, float) and float(f"{value:.6g}") == value else str(value)


def described(values: Values) -> str:
    """Return parameters with their values in one line."""
    return " ".join(f"{name}={text(value)}" for name, value in values)
