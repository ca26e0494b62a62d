"""From the tables of a sweep's file to a sweep."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, get_args

from spark_rl import keys, memory, times
from spark_rl.errors import RequestError
from spark_rl.model import ALGORITHMS, LIBRARIES
from spark_rl.sweep import METRICS, OPTIONS, Goal, Kind, Parameter, Scheduler, Search, Sweep
from spark_rl.text import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Table = Mapping[str, Any]

_NUMBER = (int, float)
Keys = dict[str, type | tuple[type, ...]]
_TOP: Keys = {
    "recipe": (str, dict),
    "seeds": list,
    "metric": str,
    "goal": str,
    "search": str,
    "search_seed": int,
    "scheduler": str,
    "space": dict,
    "budget": dict,
    "asha": dict,
    "trial": dict,
}
_BUDGET: Keys = {"combinations": int, "time": str, "parallel": int}
_ASHA: Keys = {"grace": int, "reduction": int}
_TRIAL: Keys = {"cpus": int, "gpus": _NUMBER, "memory": str, "save_every": (str, int)}
_SPACE_EXAMPLE = '[space]\n"agent.algorithm.learning_rate" = { loguniform = [1e-4, 1e-2] }'
_KINDS: tuple[Kind, ...] = get_args(Kind)


def sweep(document: Table, recipe: Mapping[str, Any], name: str) -> Sweep:
    """Return what the tables of a file say.

    Args:
        document: The file's tables.
        recipe: What all trials have in common, checked; the document's own ``recipe`` does not count.
        name: The path of the file, for messages; its last part is the name of the sweep.

    Raises:
        RequestError: A key is unknown or of the wrong type, or what it says makes no sense.
    """
    top = keys.checked(document, _TOP, name)
    budget = keys.checked(top.get("budget", {}), _BUDGET, f"[budget] of {name}")
    asha = keys.checked(top.get("asha", {}), _ASHA, f"[asha] of {name}")
    trial = keys.checked(top.get("trial", {}), _TRIAL, f"[trial] of {name}")
    _positive(budget | asha | trial, name)
    parameters = tuple(_parameter(key, value, name) for key, value in top.get("space", {}).items())
    if not parameters:
        raise RequestError(f"{name} has no search space", f"for example {_SPACE_EXAMPLE}".replace("\n", " "))
    if "task" not in recipe:
        raise RequestError(f"{name} names no task", 'add recipe = "FILE", or a table [recipe] with task = "NAME"')
    search = _one_of(top, "search", get_args(Search), "random", name)
    found = Sweep(
        name=name.rpartition("/")[2].removesuffix(".toml"),
        recipe=tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in recipe.items()),
        parameters=parameters,
        seeds=_seeds(top, recipe, name),
        metric=_metric(top, name),
        goal=_one_of(top, "goal", get_args(Goal), "max", name),
        search=search,
        search_seed=top.get("search_seed", 0),
        scheduler=_one_of(top, "scheduler", get_args(Scheduler), "none", name),
        grace=asha.get("grace"),
        reduction=asha.get("reduction", 3),
        draws=_draws(parameters, budget.get("combinations"), name),
        time_s=_time_s(budget, name),
        parallel=budget.get("parallel"),
        cpus=trial.get("cpus"),
        gpus=_gpus(trial, name),
        memory_mib=memory.mib(trial["memory"], "trial.memory") if "memory" in trial else None,
        save_every=str(trial["save_every"]) if "save_every" in trial else None,
    )
    _refuse_contradictions(found, top, name)
    return found


def _positive(numbers: Mapping[str, Any], name: str) -> None:
    for key, value in numbers.items():
        least = 2 if key == "reduction" else 0 if key == "gpus" else 1
        if isinstance(value, _NUMBER) and value < least:
            raise RequestError(f"{key} in {name} must be at least {least}", f"it holds {value!r}")


def _one_of(top: Table, key: str, known: Sequence[Any], default: str, name: str) -> Any:
    value = top.get(key, default)
    if value not in known:
        raise RequestError(f"{key} in {name} is {value!r}", did_you_mean(value, known, f"values of {key}"))
    return value


def _metric(top: Table, name: str) -> str:
    """Return the metric; what a run will record under a tag nobody can know before.

    Raises:
        RequestError: It is a slip of the pen.
    """
    metric = str(top.get("metric", "reward"))
    slip = "/" not in metric and metric not in METRICS and nearest(metric, METRICS, 1)
    if slip or not metric:
        hint = did_you_mean(metric, METRICS, "a tag that the runs record, or one of")
        raise RequestError(f"metric in {name} is {metric!r}", hint)
    return metric


def _time_s(budget: Table, name: str) -> float | None:
    if "time" not in budget:
        return None
    seconds = times.seconds(budget["time"], "budget.time")
    if seconds <= 0:
        raise RequestError(f"time in [budget] of {name} must be more than nothing", "leave it out to wait for all")
    return seconds


def _gpus(trial: Table, name: str) -> float | None:
    share: float | None = trial.get("gpus")
    if share is not None and share > 1 and share % 1:
        raise RequestError(
            f"gpus in [trial] of {name} is {share:g}, and only a part of one GPU can be shared",
            "gpus = 0.5, or a whole number",
        )
    return share


def _seeds(top: Table, recipe: Table, name: str) -> tuple[int, ...]:
    seeds = top.get("seeds", [recipe.get("seed", 42)])
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise RequestError(f"seeds in {name} must be whole numbers from 0 on", "for example seeds = [1, 2, 3]")
    if len(set(seeds)) < len(seeds):
        raise RequestError(f"seeds in {name} names a seed twice", "the same training twice tells nothing new")
    return tuple(seeds)


def _parameter(key: str, value: Any, name: str) -> Parameter:
    """Return one dimension.

    Raises:
        RequestError: Its kind is unknown, its values make no sense, or it is an option that no sweep is over.
    """
    where = f"{key} in [space] of {name}"
    _known(key, where)
    if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
        raise RequestError(f"{where} is a table of tables: a name with dots needs quotes", _requoted(key, value))
    if not isinstance(value, dict) or len(value) != 1:
        kinds = ", ".join(_KINDS)
        raise RequestError(f"{where} must say one of {kinds}", f'"{key}" = {{ grid = [A, B] }}')
    kind, values = next(iter(value.items()))
    if kind not in _KINDS:
        raise RequestError(f"{where} is of an unknown kind: {kind}", did_you_mean(kind, _KINDS, "kinds"))
    if not isinstance(values, list) or not values:
        raise RequestError(f"{where} must have a list of values", f'"{key}" = {{ {kind} = [A, B] }}')
    if kind in ("grid", "choice"):
        return _listed(key, kind, values, where)
    return _ranged(key, kind, values, where)


def _requoted(key: str, value: Table) -> str:
    """Return the line that somebody meant who wrote ``a.b.c = { grid = ... }``, which TOML reads as tables."""
    name, inner = next(iter(value.items()))
    if isinstance(inner, dict) and inner and name not in _KINDS:
        return _requoted(f"{key}.{name}", inner)
    return f'"{key}" = {{ {name if name in _KINDS else "grid"} = [A, B] }}'


_MEANT = ("task", "seed", "checkpoint", "run_name", "overrides", "video", "headless", "device")


def _known(key: str, where: str) -> None:
    if key in _MEANT:
        hint = "name them with seeds = [1, 2, 3]" if key == "seed" else "it is for the recipe: the same for all trials"
        raise RequestError(f"{where}: no sweep is over {key}", hint)
    if "=" in key or not key.strip():
        raise RequestError(
            f"{where} is no name of an option or a key", "its values stand on the right: { grid = [A, B] }"
        )
    close = nearest(key, OPTIONS, 1)
    if key not in OPTIONS and close and "." not in key:
        raise RequestError(f"{where}: there is no option {key}", f"did you mean {close[0]}?")


def _listed(key: str, kind: Kind, values: list[Any], where: str) -> Parameter:
    allowed = {"library": LIBRARIES, "algorithm": ALGORITHMS}.get(key)
    for value in values:
        if key in OPTIONS and type(value) is not OPTIONS[key]:
            raise RequestError(
                f"{where} must hold {'whole numbers' if OPTIONS[key] is int else 'texts'}", f"not {value!r}"
            )
        if allowed and value not in allowed:
            raise RequestError(f"{where}: there is no {key} {value}", did_you_mean(value, allowed, f"values of {key}"))
        if isinstance(value, dict):
            raise RequestError(f"{where} holds a table", "values are texts, numbers, true or false, and lists of them")
    if any(value in values[:at] for at, value in enumerate(values)):
        raise RequestError(f"{where} names a value twice", "each value once")
    return Parameter(name=key, kind=kind, values=tuple(values))


def _ranged(key: str, kind: Kind, values: list[Any], where: str) -> Parameter:
    if len(values) != 2 or any(type(value) not in _NUMBER for value in values) or not values[0] < values[1]:
        raise RequestError(f"{where} must have two numbers, the lower one first", f"it holds {values!r}")
    low, high = values
    if kind == "loguniform" and low <= 0:
        raise RequestError(f"{where}: the bounds of loguniform are above 0", f"it holds {values!r}")
    found = Parameter(name=key, kind=kind, low=low, high=high)
    if key in OPTIONS and not found.whole:
        raise RequestError(f"{where} must have whole numbers", f"it holds {values!r}")
    return found


def _draws(parameters: Sequence[Parameter], combinations: int | None, name: str) -> int:
    """Return how often is drawn for each point of the grid.

    Raises:
        RequestError: The number of combinations does not go with the grid.
    """
    grid = prod(len(parameter.values) for parameter in parameters if parameter.kind == "grid")
    drawn = any(parameter.kind != "grid" for parameter in parameters)
    if not drawn:
        if combinations not in (None, grid):
            raise RequestError(
                f"the grid of {name} has {grid} points, and combinations is {combinations}",
                "leave combinations out: a grid is tried as a whole; choice draws from a list",
            )
        return 1
    if combinations is None:
        raise RequestError(f"{name} does not say how many combinations to draw", "[budget] combinations = 8")
    if combinations % grid:
        raise RequestError(
            f"combinations in {name} is {combinations}, and the grid has {grid} points",
            f"a multiple of {grid}: each point of the grid gets as many draws",
        )
    return combinations // grid


def _refuse_contradictions(found: Sweep, top: Table, name: str) -> None:
    gridded = [parameter.name for parameter in found.parameters if parameter.kind == "grid"]
    if found.search == "optuna" and gridded:
        raise RequestError(
            f"optuna draws every parameter, and {gridded[0]} is a grid", 'choice instead of grid, or search = "random"'
        )
    if found.search == "optuna" and found.scheduler == "asha" and len(found.seeds) > 1:
        raise RequestError(
            "optuna learns from all seeds of a combination, and asha would stop some of them",
            'one seed, scheduler = "none", or search = "random"',
        )
    if "asha" in top and found.scheduler != "asha":
        raise RequestError(f"{name} has a table [asha], and its scheduler is none", 'scheduler = "asha"')
    lengths = [parameter for parameter in found.parameters if parameter.name == "max_iterations"]
    if found.scheduler == "asha" and lengths:
        raise RequestError(
            "asha compares trials of one length, and the sweep is over max_iterations", "drop one of the two"
        )


def refuse_grace(found: Sweep, longest: int | None) -> None:
    """Stop where ASHA would never stop a trial.

    Args:
        found: The sweep.
        longest: The most iterations of a trial, None where nobody knows.

    Raises:
        RequestError: Its trials are over before it may stop one.
    """
    if found.scheduler == "asha" and found.grace is not None and longest is not None and found.grace >= longest:
        raise RequestError(
            f"asha stops nothing before iteration {found.grace}, and a trial has {longest}",
            f"[asha] grace = {max(1, longest // found.reduction**2)}",
        )
