"""A matrix of short runs: what its file says, as cells, and which of them are wanted.

A table of ``[[cells]]`` holds one value or a list for ``task``, ``library``, ``algorithm`` and ``num_envs``; every
combination is a cell.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from spark_rl import memory
from spark_rl.errors import RequestError
from spark_rl.model import ALGORITHMS, LIBRARIES
from spark_rl.text import did_you_mean
from spark_rl.times import seconds
from spark_rl.words import is_override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

STALL_S = 900.0
"""Time without a sign of life after which a cell is ended unless its table says otherwise; Isaac Sim starts slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is played after a training: ``steps`` in each of ``num_envs`` environments.

    ``task`` is the name of another task to play the policy in, such as a ``-Play`` variant.
    """

    steps: int
    num_envs: int | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One short run: ``train`` iterations, then perhaps a play.

    ``kill`` is the iteration after which the run is killed, to be resumed. ``stall_s`` is the longest time without a
    sign of life in seconds, ``memory_mib`` what it needs of the system's memory (None: a guess).
    """

    name: str
    task: str
    train: int
    library: str | None = None
    algorithm: str | None = None
    num_envs: int | None = None
    kill: int | None = None
    play: Play | None = None
    device: str | None = None
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    stall_s: float = STALL_S
    memory_mib: int | None = None

    @property
    def actions(self) -> str:
        """What is done, in words."""
        killed = f", killed after {self.kill} and resumed" if self.kill else ""
        played = f", play {self.play.steps} steps" if self.play else ""
        return f"train {self.train} iterations{killed}{played}"


_AXES = ("task", "library", "algorithm", "num_envs")
_TEXTS = ("task", "library", "algorithm", "device", "stall", "memory", "label")
_COUNTS = ("num_envs", "train", "kill", "seed")
_KEYS = (*_AXES, "train", "kill", "play", "device", "seed", "overrides", "stall", "memory", "label")
_DEVICES = ("cpu", "cuda", "auto")


def parse(document: Mapping[str, Any], file: str) -> tuple[Cell, ...]:
    """Return the cells of a matrix file.

    Args:
        document: What the file holds: ``[defaults]`` for all tables, and the tables of ``[[cells]]``.
        file: Its name, for messages.

    Raises:
        RequestError: A key is unknown, a value is of the wrong type, or two cells have the same name.
    """
    for key in document:
        if key not in ("defaults", "cells"):
            raise RequestError(f"{file} has an unknown key: {key}", did_you_mean(key, ("defaults", "cells"), "known"))
    tables, defaults = document.get("cells"), document.get("defaults", {})
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        raise RequestError(f"{file} has no cells", "write a table [[cells]] with task and train for each")
    if not isinstance(defaults, dict):
        raise RequestError(f"defaults in {file} must be a table", "write [defaults], and one key = value a line")
    cells: dict[str, Cell] = {}
    for number, table in enumerate(tables, 1):
        for cell in _expanded(defaults | table, f"cells table {number} of {file}"):
            if cell.name in cells:
                raise RequestError(
                    f"two cells of {file} are called {cell.name}", 'give one of them a label: label = "other"'
                )
            cells[cell.name] = cell
    return tuple(cells.values())


def _expanded(table: Mapping[str, Any], where: str) -> Iterator[Cell]:
    _check(table, where)
    axes = [_listed(table.get(name)) for name in _AXES]
    common = {
        "train": table["train"],
        "kill": table.get("kill"),
        "play": _play(table.get("play"), where),
        "device": table.get("device"),
        "seed": table.get("seed"),
        "overrides": tuple(table.get("overrides", ())),
        "stall_s": seconds(table["stall"], f"stall in {where}") if "stall" in table else STALL_S,
        "memory_mib": memory.mib(table["memory"], f"memory in {where}") if "memory" in table else None,
    }
    for values in itertools.product(*axes):
        given = dict(zip(_AXES, values, strict=True))
        killed = "resume" if common["kill"] else None
        parts = (*values, killed, table.get("label"))
        yield Cell(name="/".join(str(part) for part in parts if part is not None), **given, **common)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check(table: Mapping[str, Any], where: str) -> None:
    for key, value in table.items():
        if key not in _KEYS:
            raise RequestError(f"{where} has an unknown key: {key}", did_you_mean(key, _KEYS, "known keys"))
        entries = _listed(value) if key in _AXES else [value]
        if not entries:
            raise RequestError(f"{key} in {where} is an empty list", "leave it out")
        for entry in entries:
            _check_value(key, entry, where)
    for key in ("task", "train"):
        if key not in table:
            raise RequestError(f"{where} has no {key}", 'for example task = "Isaac-Cartpole-Direct-v0" and train = 5')
    if table.get("kill", 0) >= table["train"]:
        raise RequestError(f"kill in {where} must be less than train", "it is the iteration to kill the run after")


def _check_value(key: str, value: Any, where: str) -> None:
    least = 0 if key == "seed" else 1
    if key in _TEXTS and not (isinstance(value, str) and value):
        raise RequestError(f"{key} in {where} must be a text", f"it holds {value!r}")
    if key in _COUNTS and (type(value) is not int or value < least):
        raise RequestError(f"{key} in {where} must be a whole number from {least} on", f"it holds {value!r}")
    for name, known in (("library", LIBRARIES), ("algorithm", ALGORITHMS), ("device", _DEVICES)):
        if key == name and value not in known:
            raise RequestError(f"{key} in {where} is unknown: {value}", did_you_mean(value, known, "known"))
    if key == "overrides" and not (
        isinstance(value, list) and all(isinstance(w, str) and is_override(w) for w in value)
    ):
        raise RequestError(f"overrides in {where} is not a list of KEY=VALUE texts", 'overrides = ["env.decimation=4"]')


def _play(value: Any, where: str) -> Play | None:
    """Return what is to be played: a number of steps, or a table with ``steps``, ``num_envs`` and ``task``."""
    if value is None:
        return None
    table: Any = {"steps": value} if type(value) is int else value
    kinds: dict[str, type] = {"steps": int, "num_envs": int, "task": str}
    if not isinstance(table, dict) or "steps" not in table:
        raise RequestError(f"play in {where} must be a number of steps, or a table with steps", "play = 20")
    for key, entry in table.items():
        if key not in kinds:
            known = [field.name for field in fields(Play)]
            raise RequestError(f"play in {where} has an unknown key: {key}", did_you_mean(key, known, "known keys"))
        if type(entry) is not kinds[key] or (isinstance(entry, int) and entry < 1):
            raise RequestError(f"{key} of play in {where} cannot be {entry!r}", "play = { steps = 20, num_envs = 8 }")
    return Play(**table)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Say whether a cell's name is meant: by a pattern with ``*``, ``?`` or ``[]`` as a whole, by another in part."""
    return any(
        fnmatch(name.lower(), pattern.lower() if set(pattern) & set("*?[") else f"*{pattern.lower()}*")
        for pattern in patterns
    )


def choose(
    cells: Sequence[Cell], *, only: Sequence[str] = (), exclude: Sequence[str] = (), require: Sequence[str] = ()
) -> tuple[Cell, ...]:
    """Return the cells that are meant by ``only`` (none: all) and not by ``exclude``.

    Raises:
        RequestError: A pattern means no cell, one of ``require`` no cell that is left, or no cell is left.
    """
    chosen = tuple(cell for cell in cells if (not only or matches(cell.name, only)) and not matches(cell.name, exclude))
    for option, patterns, among in (("only", only, cells), ("exclude", exclude, cells), ("require", require, chosen)):
        for pattern in patterns:
            if not any(matches(cell.name, (pattern,)) for cell in among):
                raise RequestError(f"--{option} {pattern} matches no cell", _known(among))
    if not chosen:
        raise RequestError("every cell is excluded", _known(cells))
    return chosen


def _known(cells: Sequence[Cell]) -> str:
    names = [cell.name for cell in cells]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"the cells are called {', '.join(names[:4])}{more}" if names else "no cell is left"
