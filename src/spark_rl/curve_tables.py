"""A comparison of runs as text."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from spark_rl.figures import count, duration, figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_rl.comparison import Comparison, Row
    from spark_rl.tables import Screen

_GAP = 2


def _best(row: Row) -> str:
    return "-" if row.best_reward is None else f"{figure(row.best_reward)} at {row.best_iteration}"


_COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "final reward": lambda row: figure(row.final_reward),
    "best (iteration)": _best,
    "to threshold": lambda row: count(row.env_steps_to_threshold),
    "time": lambda row: duration(row.seconds),
    "env steps/s": lambda row: count(row.env_steps_per_second),
    "state": lambda row: row.state,
    "length": lambda row: figure(row.length),
    "env steps": lambda row: count(row.env_steps),
    "library": lambda row: f"{row.library} {row.algorithm}",
}
"""Columns after the run, the most important first: where the screen is too narrow, the last ones go."""

_WORDS = frozenset(("run", "state", "library", "task"))
"""Columns of words; the others are numbers and stand to the right."""


def comparison(value: Comparison, on: Screen) -> str:
    """Return a comparison as a table with one run a line, the best final reward bold, and what the threshold is."""
    tasks = tuple(dict.fromkeys(row.task for row in value.rows))
    columns = {"run": _run, **_COLUMNS} | ({"task": lambda row: row.task} if len(tasks) > 1 else {})
    cells = [[name, *(cell(row) for row in value.rows)] for name, cell in columns.items()]
    shown = _fitting(cells, on.width)
    lines = [_GAP * " " + (_GAP * " ").join(parts) for parts in zip(*map(_aligned, shown), strict=True)]
    lines = [line[_GAP:].rstrip() for line in lines]
    best = max((row.final_reward for row in value.rows if row.final_reward is not None), default=None)
    body = [
        on.bold(line) if best is not None and row.final_reward == best else line
        for row, line in zip(value.rows, lines[1:], strict=True)
    ]
    notes = (line for note in _notes(value, tasks) for line in wrap(note, on.width, subsequent_indent="  "))
    return "\n".join((*_heading(tasks), on.bold(lines[0]), *body, "", *notes))


def _heading(tasks: Sequence[str]) -> tuple[str, ...]:
    return (tasks[0], "") if len(tasks) == 1 else ()


def _notes(value: Comparison, tasks: Sequence[str]) -> list[str]:
    notes = [f"to threshold: env steps until the mean reward reached {figure(value.threshold)}, {value.reason}"]
    if value.threshold is None:
        notes = [f"to threshold: none, {value.reason}"]
    if len(tasks) > 1:
        notes.append("the runs are of different tasks: their rewards cannot be compared")
    return notes


def _run(row: Row) -> str:
    return f"{row.id} {row.run_name}" if row.run_name else row.id


def _fitting(cells: Sequence[list[str]], width: int) -> list[list[str]]:
    """Return as many columns as fit, the first always."""
    shown: list[list[str]] = []
    left = width + _GAP
    for column in cells:
        left -= max(map(len, column)) + _GAP
        if shown and left < 0:
            break
        shown.append(column)
    return shown


def _aligned(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.ljust(width) if column[0] in _WORDS else cell.rjust(width) for cell in column]
