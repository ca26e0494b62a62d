"""What became of a catalogue's plans as text: counts by library, then each refusal and each rejection."""

from __future__ import annotations

import shlex
from itertools import groupby
from typing import TYPE_CHECKING

from spark_rl.acceptance import ACTIONS
from spark_rl.model import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.acceptance import Report, State, Verdict
    from spark_rl.tables import Screen

_COLUMNS: tuple[State, ...] = ("accepted", "planned", "refused", "rejected")
_SHOWN = 3
"""Tasks that are named of those refused for the same reason; the document has all."""


def page(value: Report, on: Screen) -> str:
    """Return the report: what was planned, counts, what was refused and why, what Isaac Lab rejects, and the sum."""
    return "\n".join(_page(value, on))


def _page(value: Report, on: Screen) -> Iterator[str]:
    lab = value.isaaclab
    size = f"{_many(value.tasks, 'task')}, {_many(len(value.verdicts), 'request')}"
    yield on.bold(f"Isaac Lab {lab.version} ({lab.kind}) in {lab.path}: {size}")
    yield ""
    yield from _counts(value, on)
    yield from _refused(value, on)
    yield from _rejected(value, on)
    yield ""
    yield _sum(value)


def _counts(value: Report, on: Screen) -> Iterator[str]:
    states = [state for state in _COLUMNS if value.count(state)]
    rows = [("", "", *states)]
    for library in LIBRARIES:
        for action in ACTIONS:
            here = [one for one in value.verdicts if (one.cell.library, one.cell.action) == (library, action)]
            numbers = (sum(one.state == state for one in here) for state in states)
            rows += [(library, action, *(str(number) for number in numbers))] if here else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for place, row in enumerate(rows):
        cells = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        yield on.bold(line) if place == 0 else line


def _refused(value: Report, on: Screen) -> Iterator[str]:
    """Yield each reason with the tasks that have it; a reason names its task, and is the same without it."""
    found = sorted((one for one in value.verdicts if one.state == "refused"), key=_reason)
    groups = [(reason, [*same]) for reason, same in groupby(found, _reason)]
    for reason, same in sorted(groups, key=lambda group: -len(group[1])):
        tasks = [*dict.fromkeys(one.cell.task for one in same)]
        names = [*tasks[:_SHOWN], *([f"and {len(tasks) - _SHOWN} more"] if len(tasks) > _SHOWN else [])]
        yield ""
        yield f"{on.bold('refused')} {len(same)}: {reason}"
        yield from (on.dim(f"  {name}") for name in names)


def _reason(verdict: Verdict) -> str:
    return (verdict.reason or "").replace(verdict.cell.task, "the task")


def _rejected(value: Report, on: Screen) -> Iterator[str]:
    for verdict in value.verdicts:
        if verdict.state == "rejected":
            yield ""
            yield f"{on.bold('rejected')} {verdict.cell.name}"
            yield f"  {verdict.reason}"
            yield on.dim(f"  {shlex.join(verdict.argv)}")


def _sum(value: Report) -> str:
    told = ", ".join(f"{value.count(state)} {state}" for state in _COLUMNS if value.count(state))
    if value.unparsed is not None:
        return f"{told}; nothing was parsed: {value.unparsed}"
    return f"{told}; Isaac Lab parsed {_many(value.parsed, 'command line')}, in {value.seconds:.0f} s with the planning"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
