"""What a matrix came to, as text: a table of its cells, and what changed since a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.markdown import figures
from spark_rl.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_rl.proofs import Report, Result
    from spark_rl.regressions import Regressions
    from spark_rl.tables import Screen

_HEAD = ("cell", "", "iterations", "env steps/s", "reward", "memory", "time")
_LEFT = 2
"""Columns of words; the others hold numbers."""

_DISPENSABLE = (6, 4, 5, 2, 3)
"""Columns that go where the screen is too narrow, the least important first."""


def report(value: Report, on: Screen, changes: Regressions | None = None) -> str:
    """Return a report: its cells, why those are missing that did not pass, and what changed."""
    rows = [(result.cell.name, _word(result), *figures(result)) for result in value.results]
    widths = _fitting((_HEAD, *rows), on.width)
    lines = [on.bold(_row(_HEAD, widths))]
    for result, row in zip(value.results, rows, strict=True):
        lines.append(_row(row, widths))
        lines += [f"  {line}" for line in _why(result, on.width - 2)]
    if changes is not None:
        lines += ["", f"against Isaac Lab {changes.version} of {changes.started_at}:"]
        lines += [f"  {line}" for line in changes.lines()] or ["  nothing changed"]
    return "\n".join([*lines, "", on.bold(verdict(value))])


def _fitting(rows: tuple[tuple[str, ...], ...], width: int) -> dict[int, int]:
    """Return the widths of the columns that have something to say and for which there is room, by their places."""
    widths = {at: max(map(len, column)) for at, column in enumerate(zip(*rows, strict=True))}
    widths = {at: wide for at, wide in widths.items() if at < _LEFT or any(row[at] for row in rows[1:])}
    for at in _DISPENSABLE:
        if sum(widths.values()) + 2 * (len(widths) - 1) > width:
            widths.pop(at, None)
    return widths


def verdict(value: Report) -> str:
    """Return the report in one line."""
    word = "interrupted" if value.stopped_by else "passed" if value.passed else "failed"
    partial = "" if value.complete else "; this report is partial"
    proven = "" if value.count("passed") or not value.complete else "; nothing was proven"
    return f"{word}: {value.verdict}{proven}{partial}"


def line(result: Result) -> str:
    """Return what a cell came to in one line."""
    told = (
        ("iterations", figures(result)[0]),
        ("env steps/s", figures(result)[1]),
        ("of memory", figures(result)[3]),
    )
    parts = [f"{value} {name}" for name, value in told if value]
    parts.append(figures(result)[4])
    done = ", ".join(filter(None, parts))
    if result.status == "passed":
        return f"passed: {result.cell.name}, {done}"
    return f"{_word(result)}: {result.cell.name}: {result.message}"


def _word(result: Result) -> str:
    return "not run" if result.status == "not-run" else result.status


def _why(result: Result, width: int) -> Iterator[str]:
    if result.status in ("passed", "not-run"):
        return
    yield cut(f"{result.kind}: {result.message}" if result.kind else result.message, max(width, 40))
    if result.hint and result.status == "failed":
        yield f"hint: {result.hint}"


def _row(cells: tuple[str, ...], widths: Mapping[int, int]) -> str:
    padded = (cells[at].ljust(width) if at < _LEFT else cells[at].rjust(width) for at, width in widths.items())
    return "  ".join(padded).rstrip()
