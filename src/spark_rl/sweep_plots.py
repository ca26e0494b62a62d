"""The score of a sweep over each of its parameters: as bars in the terminal, and as a PNG file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from math import log
from statistics import median
from typing import TYPE_CHECKING, Any

from spark_rl.errors import CheckError
from spark_rl.figures import figure
from spark_rl.plots import is_plain
from spark_rl.sweep import text
from spark_rl.sweep_tables import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spark_rl.sweep import Parameter, Sweep
    from spark_rl.sweep.ranking import Row
    from spark_rl.tables import Screen

MOST_BARS = 6
"""Parts that a range is cut into where more values than that were tried."""

_WIDEST = 30
_FULL, _HOLLOW = "#1f77b4", "#999999"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The scores of the trainings with one value of a parameter, or with one from a part of its range."""

    label: str
    scores: tuple[float, ...]


def bars(rows: Sequence[Row], parameter: Parameter) -> tuple[Bar, ...]:
    """Return the scores by the value of a parameter, in the order of the list or of the numbers."""
    pairs = [(dict(row.values)[parameter.name], score) for row in rows for score in row.scores]
    if parameter.values:
        groups = {text(value): [score for one, score in pairs if one == value] for value in parameter.values}
    else:
        groups = _parts(pairs, parameter)
    return tuple(Bar(label=label, scores=tuple(scores)) for label, scores in groups.items() if scores)


def _parts(pairs: Sequence[tuple[Any, float]], parameter: Parameter) -> dict[str, list[float]]:
    values = sorted({value for value, _ in pairs})
    if len(values) <= MOST_BARS:
        return {text(value): [score for one, score in pairs if one == value] for value in values}
    groups: dict[int, list[tuple[Any, float]]] = {}
    for value, score in pairs:
        at = _place(value, parameter)
        groups.setdefault(min(MOST_BARS - 1, int(at * MOST_BARS)), []).append((value, score))
    told = {}
    for _, group in sorted(groups.items()):
        low, high = min(value for value, _ in group), max(value for value, _ in group)
        label = text(low) if low == high else f"{text(low)} to {text(high)}"
        told[label] = [score for _, score in group]
    return told


def _place(value: float, parameter: Parameter) -> float:
    low, high = parameter.low, parameter.high
    return log(value / low) / log(high / low) if parameter.kind == "loguniform" else (value - low) / (high - low)


def terminal(rows: Sequence[Row], sweep: Sweep, on: Screen) -> Iterator[str]:
    """Yield a block of text for each parameter: the median of its scores as a bar, and their range."""
    names = short([parameter.name for parameter in sweep.parameters])
    for parameter in sweep.parameters:
        found = bars(rows, parameter)
        if len(found) > 1:
            yield "\n".join((on.bold(f"{sweep.metric} over {names[parameter.name]}"), *_lines(found, on)))


def _lines(found: Sequence[Bar], on: Screen) -> Iterator[str]:
    block = "#" if is_plain() else "█"
    middles = [median(bar.scores) for bar in found]
    low, high = min(middles), max(middles)
    labels = [len(bar.label) for bar in found]
    texts = [_spread(bar) for bar in found]
    room = max(8, min(_WIDEST, on.width - max(labels) - max(map(len, texts)) - 6))
    for bar, middle, told in zip(found, middles, texts, strict=True):
        share = (middle - low) / (high - low) if high > low else 1.0
        drawn = block * max(1, round(share * room))
        yield f"  {bar.label:>{max(labels)}}  {drawn:<{room}}  {told}"


def _spread(bar: Bar) -> str:
    if len(bar.scores) == 1:
        return figure(bar.scores[0])
    return f"{figure(median(bar.scores))} ({figure(min(bar.scores))} to {figure(max(bar.scores))})"


def drawable() -> None:
    """Check that pictures can be drawn, without loading what draws them.

    Raises:
        CheckError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise CheckError("--png needs matplotlib", "pip install 'spark-rl[plot]'")


def png(rows: Sequence[Row], sweep: Sweep, file: Path) -> None:
    """Write the scores over each parameter as one PNG file; hollow marks are trainings that did not come to their end.

    Raises:
        CheckError: matplotlib is not installed, nothing has a score, or the file cannot be written.
    """
    drawable()
    from matplotlib.figure import Figure

    if not any(row.scores for row in rows):
        raise CheckError("no trial has a score yet", "scores appear when the first episodes are over")
    names = short([parameter.name for parameter in sweep.parameters])
    count = len(sweep.parameters)
    whole = Figure(figsize=(min(5 * count, 20), 4.5), dpi=150, layout="constrained")
    for at, parameter in enumerate(sweep.parameters, 1):
        axes = whole.add_subplot(1, count, at)
        _draw(axes, rows, parameter)
        axes.set_xlabel(names[parameter.name])
        axes.grid(color="#e4e4e4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if at == 1:
            axes.set_ylabel(sweep.metric)
    whole.suptitle(sweep.name, x=0.01, ha="left", fontweight="bold")
    try:
        whole.savefig(file, format="png")
    except OSError as error:
        raise CheckError(f"{file} cannot be written: {error.strerror}", "name a file in a folder of yours") from error


def _draw(axes: Any, rows: Sequence[Row], parameter: Parameter) -> None:
    from matplotlib.ticker import NullFormatter

    if parameter.values:
        axes.set_xticks(range(len(parameter.values)), [text(value) for value in parameter.values])
        axes.set_xlim(-0.5, len(parameter.values) - 0.5)
    elif parameter.kind == "loguniform":
        axes.set_xscale("log")
        axes.set_xlim(parameter.low, parameter.high)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(parameter.low, parameter.high)
    for row in rows:
        value = dict(row.values)[parameter.name]
        x = parameter.values.index(value) if parameter.values else value
        face = _FULL if row.whole else "none"
        scores = row.scores
        axes.scatter([x] * len(scores), scores, s=36, facecolors=face, edgecolors=_FULL if row.whole else _HOLLOW)
