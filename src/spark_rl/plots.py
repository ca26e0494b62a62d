"""Curves as pictures: in the terminal, and as a PNG file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Literal

from spark_rl.curves import REWARD, Curve
from spark_rl.errors import CheckError
from spark_rl.figures import count, figure, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spark_rl.comparison import Learned
    from spark_rl.tables import Screen

Axis = Literal["iterations", "env steps"]

_COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#666666")
"""Colours that differ for the colour-blind too, on white."""
_TERMINAL_COLOURS = ("cyan+", "orange+", "green+", "magenta+", "yellow+", "blue+", "red+", "white+")
_LETTERS = "*o+x#@%&"
_FRAME = str.maketrans({"│": "|", "┤": "|", "├": "|", "─": "-", "┬": "-", "┴": "-"} | dict.fromkeys("┌┐└┘┼", "+"))
_MOST_POINTS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve of a plot with its name in the legend."""

    label: str
    curve: Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What a picture shows; ``x`` names what the curves' steps are."""

    title: str
    x: Axis
    y: str
    lines: tuple[Line, ...]


def plot(runs: Sequence[Learned], tag: str | None = None, x: Axis = "iterations") -> Plot:
    """Return the plot of one tag of one or several runs, their mean reward by default.

    Env steps need runs that know them; else the axis is in iterations.

    Raises:
        CheckError: No run recorded a number under the tag.
    """
    named = [(run, run.curves.get(tag or REWARD[run.run.library])) for run in runs]
    present = [(run, curve) for run, curve in named if curve and curve.first is not None]
    if not present:
        what = "a reward" if tag is None else f"a number under {tag}"
        raise CheckError(f"no run has recorded {what} yet", "rewards appear when the first episodes are over")
    if any(run.scale.env_steps is None for run, _ in present):
        x = "iterations"
    lines = tuple(Line(label=_label(run, runs), curve=_over(x, curve, run)) for run, curve in present)
    return Plot(title=_title(runs), x=x, y=tag or "mean reward", lines=lines)


def _over(x: Axis, curve: Curve, run: Learned) -> Curve:
    each = run.scale.env_steps if x == "env steps" else 1
    return replace(curve, steps=tuple(step * (each or 1) for step in curve.steps)).thinned(_MOST_POINTS)


def _title(runs: Sequence[Learned]) -> str:
    tasks = tuple(dict.fromkeys(run.run.task for run in runs))
    named = ", ".join(run.run.id for run in runs)
    what = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    return f"{what}, run {named} ({_how(runs[0])})" if len(runs) == 1 else f"{what}, runs {named}"


def _label(run: Learned, runs: Sequence[Learned]) -> str:
    parts = [run.run.run_name or f"run {run.run.id}", _how(run)]
    if any(other.run.task != run.run.task for other in runs):
        parts.append(run.run.task)
    return "  ".join(parts)


def _how(run: Learned) -> str:
    return f"{run.run.library} {run.run.algorithm}"


def is_plain() -> bool:
    """Say whether stdout gets ASCII only: it is no terminal, or one without Unicode."""
    return not sys.stdout.isatty() or "utf" not in (sys.stdout.encoding or "").lower()


def terminal(value: Plot, on: Screen, *, height: int = 20, ascii_only: bool = False) -> str:
    """Return a plot as text of ``on.width`` columns and ``height`` lines and, for several curves, a legend below.

    Args:
        value: The plot.
        on: Where it is read. Without colours each of several curves has a character of its own.
        height: Lines of the picture.
        ascii_only: Draw with ASCII characters.
    """
    import plotext

    plotext.terminal.limit(width=False, height=False)
    canvas = plotext.figure
    canvas.clear.all()
    canvas.theme("colorless").canvas("default").plot_size(max(on.width, 40), max(height, 8))
    canvas.title(value.title).label(value.x, "x")
    _rulers(canvas, value, max(on.width, 40), max(height, 8))
    letters = ascii_only or (len(value.lines) > 1 and not on.colour)
    for index, line in enumerate(value.lines):
        canvas.draw(_signal(plotext, line.curve.thinned(on.width * 4), index, colour=on.colour, letters=letters))
    drawn = str(canvas.build().string(colorless=not on.colour))
    legend = [_legend(line.label, index, on, letters=letters) for index, line in enumerate(value.lines)]
    text = "\n".join((value.y, drawn.rstrip("\n"), *(legend if len(legend) > 1 else ())))
    return text.translate(_FRAME) if ascii_only else text
