"""What a person sees of a run: the live view at several widths, plain lines, raw output."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest

from spark_rl import live, registry
from spark_rl.records import Attempt, Progress, Run

if TYPE_CHECKING:
    from rich.console import Console

STARTING = Progress(
    phase="environment", phases=(("launching", 2.1), ("simulator", 6.0)), memory_used_mib=2048, memory_total_mib=24576
)
TRAINING = Progress(
    phase="training",
    iteration=93,
    max_iterations=150,
    iteration_seconds=0.5,
    fps=29_800.0,
    reward=4.6213,
    length=231.44,
    checkpoint="/w/logs/rsl_rl/e/r/model_50.pt",
    checkpoint_iteration=51,
    gpu_percent=83.0,
    memory_used_mib=12_400,
    memory_total_mib=81_000,
)


def run(progress: Progress) -> Run:
    return Run(
        id="12",
        action="train",
        task="Isaac-Cartpole-Direct",
        library="rsl_rl",
        algorithm="PPO",
        version="3.0.0",
        cwd="/w",
        argv=("python",),
        state="running",
        started_at=time.time(),
        updated_at=time.time(),
        owner=registry.owner_now(),
        attempts=(Attempt(argv=("python",), started_at=0.0),),
        progress=progress,
    )


def shown(progress: Progress, width: int, at: float = 83.0) -> list[str]:
    """Return the live view as lines of text."""
    from rich.console import Console

    view = live.Live({"environment": 4.0}, "Ctrl-C stops it", wanted=False)
    view.rewards.extend([1.0, 2.0, 3.0, 4.6])
    view.console = Console(width=width, file=io.StringIO(), no_color=True)
    view.console.print(live.frame(run(progress), at, view))
    lines = text(view.console).splitlines()
    assert all(len(line) <= width for line in lines), lines
    return [line.rstrip() for line in lines]


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_start_shows_its_phases_and_how_long_they_took_last_time() -> None:
    lines = shown(STARTING, 100, at=10.1)
    assert lines[0].startswith(" ● Isaac-Cartpole-Direct  rsl_rl PPO  run 12")
    assert lines[0].endswith("0:10")
    assert "✓ start 2.1 s   ✓ simulator 6.0 s   … environment 2.0 s (last time 4.0 s)   · first iteration" in lines[1]
    assert "memory 2.0 of 24 GiB" in lines[2]


def test_training_shows_progress_figures_exposure_and_the_machine() -> None:
    lines = shown(TRAINING, 100)
    assert lines[1].endswith("93/150  62 %  0:28 left")
    assert "reward 4.621  episode length 231.4  29,800 env steps/s  ▁▃▅█" in lines[2]
    assert "checkpoint model_50.pt, 42 iterations unsaved (21 s)" in lines[3]
    assert "GPU 83 %  memory 12.1 of 79 GiB" in lines[4]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("progress", [Progress(), STARTING, TRAINING, Progress(phase="closing", iteration=3)])
def test_any_width_will_do(width: int, progress: Progress) -> None:
    assert shown(progress, width)


def test_plain_lines_come_with_each_phase_and_every_so_often(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    view = live.Plain(every=30.0, before={"environment": 4.0}, clock=lambda: now[0])
    for at, progress in ((0, STARTING), (10, STARTING), (31, STARTING), (32, TRAINING), (40, TRAINING), (63, TRAINING)):
        now[0] = float(at)
        view.update(run(progress), float(at))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "run 12: environment, 0.0 s since the start (last time 4.0 s)"
    assert lines[1] == "run 12: environment, 31 s since the start (last time 4.0 s)"
    assert (
        lines[2:]
        == [
            (
                "run 12: training, 93/150 iterations, 28 s left, reward 4.621, episode length 231.4, "
                "29,800 env steps/s, model_50.pt, 42 iterations unsaved (21 s)"
            )
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123456, "0.01235"), (231.44, "231.4"), (12345.6, "12,346"), (-3.0, "-3")]
)
def test_numbers_have_as_many_digits_as_mean_something(value: float, text: str) -> None:
    assert live.number(value) == text
