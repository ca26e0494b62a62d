"""Curves as pictures: in the terminal, and as a PNG file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from spark_rl import tuning
from spark_rl.curves import REWARD, Curve
from spark_rl.errors import CheckError
from spark_rl.figures import labels, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spark_rl.comparison import Learned
    from spark_rl.tables import Screen
    from spark_rl.tuning import Climb

Axis = Literal["iterations", "env steps"]

_T = TypeVar("_T")

_INKS = ("#1f77b4", "#e07b00", "#1b9e77", "#c23b8f", "#d62728", "#8a7300", "#7058c8", "#666666")
"""Colours on white, apart for the colour-blind too."""
_COLOURS = (33, 208, 35, 170, 203, 178, 99, 245)
"""The same of the 256 of a terminal, readable on black and on white."""
_LETTERS = "*o+x#@%&"
_FRAME = str.maketrans("│─┈└┼┬", "|-.+++")
_MOST_POINTS = 4000
_NARROWEST, _LOWEST = 40, 8


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
    if any(run.scale.batch is None for run, _ in present):
        x = "iterations"
    lines = tuple(Line(label=_label(run, runs), curve=_over(x, curve, run)) for run, curve in present)
    return Plot(title=_title(runs), x=x, y=tag or "mean reward", lines=lines)


def _over(x: Axis, curve: Curve, run: Learned) -> Curve:
    each = run.scale.batch if x == "env steps" else 1
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

    width, height = max(on.width, _NARROWEST), max(height, _LOWEST)
    lettered = ascii_only or (len(value.lines) > 1 and not on.colour)
    plotext.terminal.limit(width=False, height=False)
    canvas = plotext.figure
    canvas.clear.all()
    canvas.theme("colorless").canvas("default").plot_size(width, height).label(value.x, "x")
    canvas.axes(active=False, side=1)
    _rulers(canvas, value.lines, width, height)
    for index, line in enumerate(value.lines):
        marker = plotext.marker(_letter(index) if lettered else "braille", (_turn(_COLOURS, index),))
        canvas.draw(_signal(canvas, line.curve.thinned(4 * width), marker))
    drawn = canvas.build().string(colorless=not on.colour).rstrip("\n")
    legend = [_legend(line.label, index, on, lettered=lettered) for index, line in enumerate(value.lines)]
    heads = (on.bold(value.title[:width]), on.dim(value.y))
    text = "\n".join((*heads, drawn, *(legend if len(legend) > 1 else ())))
    return text.translate(_FRAME).encode("ascii", "replace").decode() if ascii_only else text


def _signal(canvas: Any, curve: Curve, marker: object) -> Any:
    """Return what draws a curve; a point that is no number leaves a gap."""
    points = curve.finite
    signal = canvas.signal([x for x, _ in points], [y for _, y in points], marker=marker).lines()
    numbers = [index for index, y in enumerate(curve.values) if isfinite(y)]
    for index, (before, after) in enumerate(pairwise(numbers)):
        if after - before > 1:
            signal.line(index + 1, active=False)
    return signal


def _rulers(canvas: Any, lines: Sequence[Line], width: int, height: int) -> None:
    points = [point for line in lines for point in line.curve.finite]
    for axis, most in ((0, width // 12), (1, height // 3)):
        low, high = _limits([point[axis] for point in points])
        marks = ticks(low, high, most)
        canvas.ruler("xy"[axis]).lim(low, high).ticks(list(marks), list(labels(marks)))
    canvas.ruler("y").grid(active=True, style="dotted")


def _limits(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    return (low, high) if high > low else (low - 1, high + 1)


def _legend(label: str, index: int, on: Screen, *, lettered: bool) -> str:
    sign = _letter(index) * 2 if lettered else "━━"
    return f"  \033[38;5;{_turn(_COLOURS, index)}m{sign}\033[0m {label}" if on.colour else f"  {sign} {label}"


def _letter(index: int) -> str:
    return _LETTERS[index % len(_LETTERS)]


def _turn(colours: Sequence[_T], index: int) -> _T:
    return colours[index % len(colours)]


def png(value: Plot, file: Path) -> None:
    """Write a plot as a PNG file of 1500 x 900 pixels.

    Raises:
        CheckError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter
    except ImportError as error:
        raise CheckError("--png needs matplotlib", "pip install 'spark-rl[plot]'") from error
    figure = Figure(figsize=(10, 6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for index, line in enumerate(value.lines):
        dot = "o" if len(line.curve) == 1 else None
        colour = _turn(_INKS, index)
        axes.plot(line.curve.steps, line.curve.values, color=colour, linewidth=1.8, marker=dot, label=line.label)
    axes.set_title(value.title, loc="left", fontsize=13, fontweight="bold", pad=12)
    axes.set_xlabel(value.x)
    axes.set_ylabel(value.y)
    axes.xaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    if len(value.lines) > 1:
        axes.legend(frameon=False, loc="best")
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    try:
        figure.savefig(file, format="png")
    except OSError as error:
        raise CheckError(f"{file} cannot be written: {error.strerror}", "name a file in a folder of yours") from error


def climb_png(value: Climb, file: Path) -> None:
    """Write the throughput and the memory over the env count as a PNG file of 1500 x 900 pixels.

    Raises:
        CheckError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter, FixedLocator, NullLocator, StrMethodFormatter
    except ImportError as error:
        raise CheckError("--png needs matplotlib", "pip install 'spark-rl[plot]'") from error
    rungs = [rung for rung in value.rungs if rung.throughput is not None]
    figure = Figure(figsize=(10, 6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([r.num_envs for r in rungs], [r.throughput for r in rungs], color=_INKS[0], marker="o", linewidth=1.8)
    knee = tuning.knee(rungs)
    if knee is not None:
        axes.axvline(knee, color=_INKS[4], linestyle=":", label=f"knee: {knee}")
        axes.legend(frameon=False, loc="best")
    weighed = [rung for rung in rungs if rung.memory_mib is not None]
    if weighed:
        right = axes.twinx()
        held = [(rung.memory_mib or 0) / 1024 for rung in weighed]
        right.plot([r.num_envs for r in weighed], held, color=_INKS[1], marker="s", linewidth=1.2, alpha=0.7)
        right.set_ylabel("memory (GiB)", color=_INKS[1])
        right.set_ylim(0, 1.2 * max(held) or 1)
        right.spines[["top"]].set_visible(False)
    key = value.key
    axes.set_title(f"{key.task}, {key.library} on {key.device}", loc="left", fontsize=13, fontweight="bold", pad=12)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([rung.num_envs for rung in rungs]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.set_xlabel("environments")
    axes.set_ylabel("env steps per second", color=_INKS[0])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
    axes.spines[["top"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    _save(figure, file)
