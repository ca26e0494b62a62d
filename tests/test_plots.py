"""Plots: their words, their width, their characters, and the PNG file."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from math import inf, nan
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from recorded import run
from spark_rl import learning, plots
from spark_rl.comparison import Learned, scale_of
from spark_rl.curves import REWARD, Curve
from spark_rl.errors import CheckError
from spark_rl.plots import Line, Plot
from spark_rl.records import Progress
from spark_rl.tables import Screen

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("rsl_rl", "rl_games", "skrl", "sb3")
REAL = [learning.learned(run(name, str(number))) for number, name in enumerate(NAMES, 1)]


def learned(*rewards: float) -> Learned:
    made = run()
    steps = tuple(map(float, range(len(rewards))))
    curve = Curve(tag=REWARD["rsl_rl"], steps=steps, values=rewards, wall_times=steps)
    return Learned(run=made, scale=scale_of(made), curves={curve.tag: curve})


def drawn(*values: float, width: int = 60) -> list[str]:
    return plots.terminal(plots.plot([learned(*values)]), Screen(width=width), height=12, ascii_only=True).split("\n")


def test_one_run_is_named_by_task_number_and_library() -> None:
    value = plots.plot(REAL[:1])
    assert (value.title, value.x, value.y) == (
        "Isaac-Cartpole-Direct, run 1 (rsl_rl PPO)",
        "iterations",
        "mean reward",
    )
    assert value.lines[0].curve.steps[-1] == 30


def test_several_runs_have_a_legend() -> None:
    runs = [replace(REAL[0], run=replace(REAL[0].run, run_name="base")), *REAL[1:]]
    value = plots.plot(runs)
    assert value.title == "Isaac-Cartpole-Direct, runs 1, 2, 3, 4"
    labels = [line.label for line in value.lines]
    assert labels == ["base  rsl_rl PPO", "run 2  rl_games PPO", "run 3  skrl PPO", "run 4  sb3 PPO"]
    shown = plots.terminal(value, Screen(width=100, colour=True))
    assert all(label in shown for label in labels)
    assert labels[0] not in plots.terminal(plots.plot(runs[:1]), Screen(width=100))


def test_runs_of_different_tasks_are_told_apart() -> None:
    value = plots.plot([REAL[0], learning.learned(run("skrl_mappo", "5"))])
    assert value.title == "2 tasks, runs 1, 5"
    assert value.lines[1].label == "run 5  skrl MAPPO  Isaac-Pendulum-MARL-Direct"


def test_the_axis_may_be_in_env_steps() -> None:
    value = plots.plot(REAL, x="env steps")
    assert value.x == "env steps"
    assert [line.curve.steps[-1] for line in value.lines] == [30720, 61440, 954 * 64, 30720]
    unknown = replace(REAL[0], scale=scale_of(run(progress=Progress())))
    assert plots.plot([unknown, REAL[1]], x="env steps").x == "iterations"


def test_any_tag_may_be_drawn() -> None:
    value = plots.plot([learning.learned(run(), ["Loss/value"])], "Loss/value")
    assert (value.y, len(value.lines[0].curve)) == ("Loss/value", 30)


@pytest.mark.parametrize(
    ("runs", "tag", "message"),
    [
        ([learned()], None, "no run has recorded a reward yet"),
        ([learned(nan)], None, "no run has recorded a reward yet"),
        (REAL[:1], "Loss/none", "no run has recorded a number under Loss/none yet"),
    ],
)
def test_nothing_to_draw_is_an_error(runs: list[Learned], tag: str | None, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        plots.plot(runs, tag)


@pytest.mark.parametrize("width", [40, 80, 120, 237])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_terminal_plot_fits_and_fills_the_width(width: int, count: int, ascii_only: bool) -> None:
    text = plots.terminal(plots.plot(REAL[:count]), Screen(width=width), ascii_only=ascii_only)
    lines = text.split("\n")
    assert max(map(len, lines)) == width
    assert len(lines) == 2 + 20 + (count if count > 1 else 0)
    assert "\033" not in text
    assert text.isascii() == ascii_only


def test_colours_are_used_where_there_are_some() -> None:
    text = plots.terminal(plots.plot(REAL), Screen(width=80, colour=True))
    assert len({part.split("m")[0] for part in text.split("\033[38;5;")[1:]}) == 4
    assert plots.terminal(plots.plot(REAL), Screen(width=80)).count("\033") == 0


@pytest.mark.parametrize(
    ("tty", "encoding", "plain"),
    [(True, "utf-8", False), (True, "UTF8", False), (False, "utf-8", True), (True, "ascii", True), (True, None, True)],
)
def test_a_pipe_and_an_old_terminal_get_ascii(
    monkeypatch: pytest.MonkeyPatch, tty: bool, encoding: str | None, plain: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: tty, encoding=encoding))
    assert plots.is_plain() == plain


def test_curves_without_colour_have_characters_of_their_own() -> None:
    legend = plots.terminal(plots.plot(REAL), Screen(width=80)).split("\n")[-4:]
    assert [line.split()[0] for line in legend] == ["**", "oo", "++", "xx"]


def test_a_line_goes_where_its_numbers_are() -> None:
    lines = drawn(0.0, 5.0, 10.0)
    rows = [line.partition("|")[2] or line.partition("+")[2] for line in lines[2:-3]]
    first, last = rows[0], rows[-1]
    assert first.rstrip().endswith("*")
    assert last.startswith("*")
    assert any(line.startswith("10+") for line in lines)
    assert lines[-1].strip() == "iterations"


def test_what_is_no_number_leaves_a_gap() -> None:
    whole, broken = drawn(*[1.0] * 9), drawn(*[1.0] * 4, nan, inf, *[1.0] * 3)
    stars = ["".join(lines).count("*") for lines in (whole, broken)]
    assert 20 < stars[1] < stars[0] - 10


@pytest.mark.parametrize("values", [(1.0,), (0.0, 0.0), (-1e12, 1e12), (1e-12, 2e-12), (5.0, nan)])
def test_odd_values_are_drawn(values: tuple[float, ...]) -> None:
    assert "*" in "".join(drawn(*values))


def test_a_name_beyond_ascii_does_not_stop_a_plain_plot() -> None:
    named = replace(REAL[0], run=replace(REAL[0].run, task="Isaac-Äpfel"))
    text = plots.terminal(plots.plot([named]), Screen(width=80), ascii_only=True)
    assert text.startswith("Isaac-?pfel, run 1")


def test_a_plot_leaves_nothing_behind_for_the_next() -> None:
    once = plots.terminal(plots.plot(REAL[:1]), Screen(width=80))
    plots.terminal(plots.plot(REAL), Screen(width=120, colour=True), height=30)
    assert plots.terminal(plots.plot(REAL[:1]), Screen(width=80)) == once


def test_a_million_points_are_drawn() -> None:
    value = plots.plot([learned(*(float(number % 1000) for number in range(1_000_000)))])
    assert len(value.lines[0].curve) <= 4000
    assert "800 k" in plots.terminal(value, Screen(width=80))


def test_a_png_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "plot.png"
    plots.png(plots.plot(REAL, x="env steps"), file)
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (1500, 900)


def test_a_png_that_cannot_be_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(CheckError, match="cannot be written: No such file"):
        plots.png(plots.plot(REAL[:1]), tmp_path / "absent" / "plot.png")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = Line(label="run 1", curve=Curve(tag="a", steps=(1.0,), values=(1.0,), wall_times=(1.0,)))
    with pytest.raises(CheckError) as caught:
        plots.png(Plot(title="t", x="iterations", y="a", lines=(line,)), tmp_path / "plot.png")
    assert caught.value.hint == "pip install 'spark-rl[plot]'"


def test_what_draws_is_loaded_late() -> None:
    code = (
        "import sys\n"
        "from spark_rl import comparison, curve_tables, curves, events, learning, plots\n"
        "print(*sorted(sys.modules.keys() & {'plotext', 'matplotlib', 'tensorboard', 'google.protobuf'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
