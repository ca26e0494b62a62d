"""A matrix while it goes, as a person sees it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rich.console import Console

import runs
from proven import ANT, HOP, failed, passed, skipped
from spark_rl import smoke_view

if TYPE_CHECKING:
    import pytest

    from spark_rl.records import Run


def job(cell: Any, action: str, run: Run | None) -> Any:
    """Describe a cell that began 62 seconds before the time 100."""
    going = SimpleNamespace(run=run, step=SimpleNamespace(action=action))
    return SimpleNamespace(cell=cell, going=going, began=38.0)


def drawn(*jobs: Any, left: int = 0) -> list[str]:
    console = Console(width=110, file=io.StringIO())
    view = smoke_view.Lines(4)
    view.done = 1
    console.print(smoke_view.frame(jobs, left, 100.0, view))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_table_shows_what_each_cell_is_at() -> None:
    training = runs.run(progress=runs.progress(iteration=3, fps=1234.0))
    rows = drawn(job(ANT, "train", training), job(HOP, "play", None), left=1)
    assert rows[0].split() == ["●", ANT.name, "training", "3/4", "1,234", "env", "steps/s", "1:02"]
    assert rows[1].split() == ["●", HOP.name, "play", "1:02"]
    assert rows[2] == "1 of 4 done, 1 waiting · Ctrl-C stops, and reports what is done"


def test_a_start_and_a_resume_are_told() -> None:
    starting = runs.run(progress=runs.progress(phase="simulator", iteration=None))
    assert "training: simulator" in drawn(job(ANT, "train", starting))[0]
    assert "resumed" in drawn(job(ANT, "resume", runs.run(progress=runs.progress())))[0]


def test_without_a_terminal_it_is_a_line_for_each_beginning_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    view = smoke_view.viewer(3)
    view.began(ANT)
    view.update((), 2, 0.0)
    for result in (passed(), failed(), skipped()):
        view.ended(result)
    view.close()
    assert capsys.readouterr().err.splitlines() == [
        "began: Isaac-Ant-v0/rsl_rl/16: train 4 iterations",
        "passed: Isaac-Ant-v0/rsl_rl/16, 4/4 iterations, 1,234 env steps/s, 2.0 GiB of memory, 31 s (1/3)",
        "failed: Isaac-Hop-v0/skrl: the | <physics> exploded (2/3)",
        "skipped: Isaac-Lift-v0: it needs Isaac Sim (3/3)",
    ]
