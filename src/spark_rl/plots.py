"""Curves as pictures: in the terminal with plotext, in a file with matplotlib; both are loaded only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_rl import curves
from spark_rl.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spark_rl.curves import Curve
    from spark_rl.tables import Screen

_HEIGHT = 20
_COLOURS = ("blue+", "orange+", "green+", "magenta+", "cyan+", "red+")
_CHARACTERS = "●+○*▲◆"
_SHADES = ("#1f77b4", "#e07b00", "#2ca02c", "#9467bd", "#17a2b8", "#d62728")


def terminal(named: Sequence[tuple[str, Curve]], title: str, on: Screen) -> str:
    """Return curves as text, over env steps where every one of them is known in those, else over iterations.

    Args:
        named: What each curve is called, and the curve.
        title: What it shows.
        on: Where it is read.
    """
    import plotext

    figure: Any = plotext.figure
    figure.clear()
    figure.plot_size(min(on.width, 120), _HEIGHT)
    figure.theme("simple" if on.colour else "colorless")
    in_steps = _in_steps(named)
    for index, (name, curve) in enumerate(named):
        xs, values = _points(curve, in_steps=in_steps, most=4 * on.width)
        signal = figure.signal(xs, values, marker=_marker(index, alone=len(named) == 1, colour=on.colour))
        signal.lines()
        if len(named) > 1:
            signal.label(name)
        figure.draw(signal)
    figure.title(title)
    figure.label("env steps" if in_steps else "iterations")
    text: str = figure.build().string()
    return text if on.colour else plotext.uncolorize(text)


def _marker(index: int, *, alone: bool, colour: bool) -> Any:
    """Return the dots of a curve; without colours, several curves differ by their characters."""
    import plotext

    if colour:
        return plotext.marker("braille", _COLOURS[index % len(_COLOURS)])
    return "braille" if alone else _CHARACTERS[index % len(_CHARACTERS)]


def png(named: Sequence[tuple[str, Curve]], title: str, file: Path) -> None:
    """Write curves as a picture.

    Raises:
        CheckError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CheckError(
            "a picture needs matplotlib, which is not installed", "pip install 'spark-rl[plot]'"
        ) from error
    figure = Figure(figsize=(9, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    in_steps = _in_steps(named)
    for index, (name, curve) in enumerate(named):
        xs, values = _points(curve, in_steps=in_steps, most=4000)
        axes.plot(xs, values, label=name, color=_SHADES[index % len(_SHADES)], linewidth=1.6)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("env steps" if in_steps else "iterations")
    axes.set_ylabel(named[0][1].tag if named else "")
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(named) > 1:
        axes.legend(frameon=False)
    try:
        figure.savefig(file, format="png")
    except OSError as error:
        raise CheckError(f"{file} cannot be written: {error.strerror or error}", "name another file") from error


def _in_steps(named: Sequence[tuple[str, Curve]]) -> bool:
    return all(curve.batch for _, curve in named)


def _points(curve: Curve, *, in_steps: bool, most: int) -> tuple[list[float], list[float]]:
    thin = curves.thinned(curve, most)
    factor = (curve.batch or 1) if in_steps else 1
    return [at * factor for at in thin.iterations], list(thin.values)
