"""Tasks as text: the table of ``list-envs``, its lines for grep, and the page of ``describe``.

Nothing is printed here, and Rich stays out of it: loading it takes longer than all the rest of ``list-envs``.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl.catalog import MIMIC
from spark_rl.search import grouped
from spark_rl.text import cut, either

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spark_rl.catalog import Catalog
    from spark_rl.description import Command, Description, Name
    from spark_rl.model import AgentConfig, Task

__all__ = ["Screen", "footer", "listing", "page", "plain", "screen"]

_GAP = 2
_ID_WIDTH = 44
"""Room for ids in a crowded table; a longer id has a line of its own."""
_TEXT_WIDTH = 20
"""Less is no room for a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where text is read: ``width`` in columns, and whether it shows colours."""

    width: int
    colour: bool = False

    def bold(self, text: str) -> str:
        """Return text that stands out."""
        return f"\033[1m{text}\033[0m" if self.colour else text

    def dim(self, text: str) -> str:
        """Return text that stands back."""
        return f"\033[2m{text}\033[0m" if self.colour else text


def screen() -> Screen:
    """Return what stdout is; a pipe has room for every column, and NO_COLOR counts."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(width=shutil.get_terminal_size((200, 24)).columns, colour=colour)


def listing(catalog: Catalog, on: Screen) -> str:
    """Return the tasks as a table by category; tasks that no RL library can train are dim.

    An id is never broken. Where the screen is too narrow the last columns go, the least important first.
    """
    rows = {task.id: [cell(task) for cell in _COLUMNS.values()] for task in catalog.tasks}
    widths = _fitting((_COLUMNS.keys(), *rows.values()), on.width)
    lines = [on.bold(_row("task", [*_COLUMNS], widths)[0])]
    for category, tasks in grouped(catalog.tasks):
        lines += ["", on.bold(f"{category} ({len(tasks)})")]
        for task in tasks:
            row = _row(f"  {task.id}", rows[task.id], widths)
            lines += row if task.trainable else [on.dim(line) for line in row]
    return "\n".join(lines)


def plain(catalog: Catalog) -> str:
    """Return one task a line, tab-separated: id, category, robot, libraries, flags; the last two with commas."""
    return "\n".join("\t".join(cell or "-" for cell in _plain(task)) for task in catalog.tasks)


def _plain(task: Task) -> tuple[str | None, ...]:
    return task.id, task.category, task.robot, ",".join(task.libraries), ",".join(_flags(task))


def footer(chosen: Catalog, total: int) -> str:
    """Return how many tasks are shown of how many, and where the list comes from."""
    shown = len(chosen.tasks)
    of = f" of {total}" if shown != total else ""
    trainable = sum(task.trainable for task in chosen.tasks)
    unclear = f"; {len(chosen.undecided)} registrations could not be read" if chosen.undecided else ""
    return f"{shown}{of} tasks, {trainable} with an agent config; Isaac Lab {chosen.version}, {chosen.origin}{unclear}"


def _libraries(task: Task) -> str:
    return " ".join(task.libraries) or "none"


def _notes(task: Task) -> str:
    return ", ".join(flag for flag in _flags(task) if flag not in ("not-trainable", "kit-less", "Isaac-Sim"))


def _physics_name(task: Task) -> str:
    return task.physics or ("Isaac Sim" if task.kitless is False else "")


_COLUMNS: Mapping[str, Callable[[Task], str]] = {
    "libraries": _libraries,
    "notes": _notes,
    "robot": lambda task: task.robot or "",
    "difficulty": lambda task: task.difficulty or "",
    "physics": _physics_name,
    "what it is": lambda task: task.summary or "",
}
"""Columns after the id, the most important first. The last one takes the room that is left."""


def _flags(task: Task) -> tuple[str, ...]:
    flags = {
        "multi-agent": task.multi_agent,
        "AMP": task.amp,
        "cameras": task.cameras,
        "not-trainable": not task.trainable,
        "play-twin": task.train_id is not None,
        "deprecated": task.replaced_by is not None,
        "Isaac-Sim": task.kitless is False,
        "kit-less": task.kitless is True,
    }
    return tuple(flag for flag, holds in flags.items() if holds)


def _fitting(rows: Iterable[Iterable[str]], width: int) -> tuple[int, ...]:
    """Return the widths of the id column and of as many others as fit; the last one may be cut."""
    needed = [max(map(len, column)) for column in zip(*rows, strict=True)]
    needed[-1] = min(needed[-1], max(_TEXT_WIDTH, width - _ID_WIDTH - sum(needed[:-1]) - _GAP * len(needed)))
    chosen: list[int] = []
    left = width - _ID_WIDTH
    for need in needed:
        if left < _GAP + need:
            return _ID_WIDTH + left, *chosen
        chosen.append(need)
        left -= _GAP + need
    return _ID_WIDTH, *chosen


def _row(task_id: str, cells: Sequence[str], widths: tuple[int, ...]) -> list[str]:
    """Return a row as one line, or as two where the id is longer than its column."""
    texts = [cut(cell, width).ljust(width) for cell, width in zip(cells, widths[1:], strict=False)]
    gap = " " * _GAP
    if len(task_id) <= widths[0]:
        return [gap.join((task_id.ljust(widths[0]), *texts)).rstrip()]
    rest = gap.join((" " * widths[0], *texts)).rstrip()
    return [task_id, rest] if rest else [task_id]


def page(value: Description, on: Screen) -> str:
    """Return all that is known of a task, and the commands to train and play it."""
    task = value.task
    lines = [on.bold(task.id) + (f": {task.summary}" if task.summary else "")]
    if value.resolved.note:
        lines.append(f"({value.resolved.note})")
    lines.append("")
    lines += _facts(_about(value))
    lines += ["", on.bold("agents"), *_agents(task)]
    for action in ("train", "play"):
        commands = [command for command in value.commands if command.action == action]
        heading = on.bold(action) + (
            " (needs an installation with Isaac Sim: refused by this one)" if value.refused else ""
        )
        lines += ["", heading, *map(_command, commands)] if commands else []
    return "\n".join(lines)


def _about(value: Description) -> list[tuple[str, str]]:
    task = value.task
    return [
        ("robot", task.robot or "not known"),
        ("category", task.category or "not known"),
        ("difficulty", task.difficulty or "not known"),
        ("kind", _kind(task)),
        ("in 2.x", _names(value.names_2) if value.own else ""),
        ("in 3.0", _names(value.names_3) if value.own else ""),
        ("twin", _twin(task)),
        ("alike", f"{either(value.alike)} (a different task)" if value.alike else ""),
        ("needs", _needs(value)),
        ("physics", _physics(task)),
        ("assets", _assets(value)),
        ("environments", str(task.num_envs) if task.num_envs else "the source does not say"),
        ("package", f"{task.package}" + (f", project {value.project}" if value.project else "")),
        ("source", value.modules[0] if value.modules else ""),
        ("list", f"Isaac Lab {value.version}, {value.origin}" if value.origin else f"Isaac Lab {value.version}"),
    ]


def _kind(task: Task) -> str:
    kinds = {"multi-agent": task.multi_agent, "AMP (motion priors)": task.amp, "cameras": task.cameras}
    return ", ".join(kind for kind, holds in kinds.items() if holds) or "single-agent"


def _facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {name:<13} {text}" for name, text in pairs if text]


def _names(names: tuple[Name, ...]) -> str:
    """Return the ids, first those that need no preset to be the same task."""
    ordered = sorted(names, key=lambda name: bool(name.presets))
    texts = (name.id + (f" (with {' '.join(name.presets)} in 3.0)" if name.presets else "") for name in ordered)
    return ", ".join(texts) or "no such task"


def _twin(task: Task) -> str:
    if task.train_id:
        return f"the play variant of {task.train_id}"
    return f"{task.play_id} (play takes it by itself)" if task.play_id else ""


def _needs(value: Description) -> str:
    simulator = {True: "Isaac Sim", False: "no Isaac Sim", None: "it is not known whether Isaac Sim"}[value.isaac_sim]
    instead = f" (or physics={value.instead})" if value.instead else ""
    return simulator + instead + (", a GPU that renders camera images" if value.task.cameras else "")


def _assets(value: Description) -> str:
    if not value.own:
        return "those its config names"
    return "NVIDIA's, or those of spark-rl (--assets embedded)" if value.embedded else "NVIDIA's"


def _physics(task: Task) -> str:
    others = [name for name in task.physics_options if name != task.physics]
    default = task.physics or ("Isaac Sim's own default" if task.kitless is False else "not known")
    return default + (f", or physics= {', '.join(others)}" if others else "")


def _agents(task: Task) -> list[str]:
    if task.package.startswith(MIMIC):
        return [f"  none: {task.package} generates demonstrations; train and play do not know its tasks"]
    if not task.agents:
        return ["  none: no RL library has an agent config for this task, so it cannot be trained"]
    rows = [_AGENT, *(_agent(task, agent) for agent in task.agents)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [f"  {line.rstrip()}" for line in lines]


_AGENT = ("library", "algorithm", "experiment", "iterations", "steps per env", "minibatch", "env steps", "entry point")


def _agent(task: Task, agent: AgentConfig) -> tuple[str, ...]:
    figures = (agent.max_iterations, agent.horizon, task.num_envs)
    steps = ""
    if all(figures):
        iterations, horizon, count = (figure or 0 for figure in figures)
        steps = _short(iterations * horizon * count)
    numbers = (agent.max_iterations, agent.horizon, agent.minibatch)
    texts = ("-" if number is None else str(number) for number in numbers)
    return (agent.library, agent.algorithm, agent.experiment or "-", *texts, steps or "-", agent.entry_point)


def _short(number: int) -> str:
    return f"{number / 1e9:.1f} G" if number >= 10**9 else f"{number / 1e6:.1f} M"


def _command(command: Command) -> str:
    return f"  {command.text}" + ("   # the default" if command.default else "")
