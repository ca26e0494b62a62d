"""A matrix while it goes: lines of what ended, and on a terminal a table of what runs below them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spark_rl import render, smoke_tables, times
from spark_rl.live import number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from spark_rl.matrix import Cell
    from spark_rl.proofs import Result
    from spark_rl.smoke import Job

_STEPS = {"train": "training", "resume": "resumed", "play": "play"}


class Lines:
    """Tells what begins and what ended."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def began(self, cell: Cell) -> None:
        """Tell of a cell that begins."""
        self.say(f"began: {cell.name}: {cell.actions}")

    def update(self, jobs: tuple[Job, ...], left: int, now: float) -> None:
        """Show nothing: a log is no place for a picture that moves."""

    def ended(self, result: Result) -> None:
        """Tell what a cell came to."""
        self.done += 1
        self.say(f"{smoke_tables.line(result)} ({self.done}/{self.total})")

    def say(self, line: str) -> None:
        """Print a line; a terminal that is gone is no reason to stop."""
        with suppress(OSError):
            render.talk(line)

    def close(self) -> None:
        """Stop showing."""


class Live(Lines):
    """Shows a table of the cells that run, drawn anew with each update."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        super().__init__(total)
        self.console = Console(stderr=True, highlight=False)
        self.screen: Any = Screen(
            console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self.screen.start()

    def began(self, cell: Cell) -> None:
        """Show nothing: the table has it."""

    def update(self, jobs: tuple[Job, ...], left: int, now: float) -> None:
        """Draw it."""
        with suppress(OSError):
            self.screen.update(frame(jobs, left, now, self), refresh=True)

    def say(self, line: str) -> None:
        """Print a line above the table."""
        from rich.text import Text

        word, colon, rest = line.partition(":")
        styles = {"passed": "green", "failed": "bold red", "skipped": "cyan", "interrupted": "yellow"}
        with suppress(OSError):
            self.console.print(Text.assemble((word, styles.get(word, "")), colon, rest), soft_wrap=True)

    def close(self) -> None:
        """Take the table off the screen."""
        with suppress(OSError):
            self.screen.stop()


def viewer(total: int) -> Lines:
    """Return what shows a matrix of so many cells."""
    return Live(total) if render.is_live() else Lines(total)


def frame(jobs: tuple[Job, ...], left: int, now: float, view: Lines) -> RenderableType:
    """Return the cells that run, one line each, and how many are done and wait."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for column in ("left", "left", "right", "right", "right"):
        table.add_column(justify=column, no_wrap=True)
    for job in jobs:
        table.add_row(Text.assemble(("● ", "green"), (job.cell.name, "bold")), *_how_far(job, now))
    waiting = f", {left} waiting" if left else ""
    counted = f"{view.done} of {view.total} done{waiting} · Ctrl-C stops, and reports what is done"
    return Group(table, Text(counted, "dim"))


def _how_far(job: Job, now: float) -> tuple[str, str, str, str]:
    run = job.going.run
    progress = run.progress if run else None
    step = _STEPS[job.going.step.action]
    if progress is None or run is None or run.action == "play":
        return step, "", "", times.clock(now - job.began)
    if progress.phase not in ("training", "closing"):
        return f"{step}: {progress.phase}", "", "", times.clock(now - job.began)
    speed = f"{number(progress.fps)} env steps/s" if progress.fps else ""
    return step, f"{progress.iteration or 0}/{job.cell.train}", speed, times.clock(now - job.began)
