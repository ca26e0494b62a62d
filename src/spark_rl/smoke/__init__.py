"""The use case that proves an installation: the cells of a matrix as real runs, and a report that is true at any time.

A cell is a child ``spark-rl train``, then ``spark-rl play``: what is proven is what a user would have run. Its runs are
recorded in a state folder of its own, so that nobody plays a policy of two iterations by mistake.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from spark_rl import supervisor
from spark_rl.errors import LackError, RequestError, SparkError, UnreachableError
from spark_rl.proofs import Result
from spark_rl.smoke.course import Words, course
from spark_rl.smoke.room import Berth, Room, usual_jobs
from spark_rl.smoke.steps import Going, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spark_rl.matrix import Cell
    from spark_rl.model import Finding, Plan, Request
    from spark_rl.plan import Facts
    from spark_rl.smoke.course import Course
    from spark_rl.smoke.steps import Ended

__all__ = ["Going", "Job", "Ready", "Room", "View", "Wanted", "prove", "usual_jobs"]

POLL_S = 0.2
"""Time between two looks at the cells that run; a signal cuts it short."""

LACKING = frozenset(("library-missing", "isaacsim-missing", "device-missing", "gpu-missing"))
"""Findings that say that a cell cannot run here, not that this machine is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A cell that can be planned: the request of its training, and the plan with where its assets come from."""

    request: Request
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be proven.

    ``required`` are the names of cells that may not be skipped. ``folder`` is where each cell gets a folder.
    """

    cells: tuple[Cell, ...]
    facts: Facts
    room: Room
    folder: Path
    required: frozenset[str] = frozenset()
    fail_fast: bool = False


@dataclass(slots=True)
class Job:
    """A cell that runs: its course, the step it is at, and what it has to itself."""

    cell: Cell
    course: Course
    place: Place
    berth: Berth
    going: Going
    began: float


class View(Protocol):
    """Shows a matrix while it goes."""

    def began(self, cell: Cell) -> None:
        """Take a cell that begins."""

    def update(self, jobs: tuple[Job, ...], left: int, now: float) -> None:
        """Take the cells that run and the number of those that wait, at a time of the monotonic clock."""

    def ended(self, result: Result) -> None:
        """Take what a cell came to."""

    def say(self, line: str) -> None:
        """Take a line for the user."""


@dataclass(slots=True)
class Matrix:
    """The matrix while it goes."""

    wanted: Wanted
    ready: Callable[[Cell], Ready]
    view: View
    waiting: list[Cell]
    jobs: list[Job] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    stopped_by: int | None = None
    halted: bool = False
    planned: dict[str, Ready] = field(default_factory=dict)


def prove(
    wanted: Wanted,
    *,
    ready: Callable[[Cell], Ready],
    view: View,
    keep: Callable[[tuple[Result, ...]], None] = lambda _results: None,
) -> tuple[tuple[Result, ...], int | None]:
    """Run the cells, and return what each came to, in their order, and the signal that ended it all early.

    Args:
        wanted: The cells, and how they are to run.
        ready: Plans a cell.
        view: Shows how far it is.
        keep: Takes the results before and after each cell; what has no result yet is ``not-run``.
    """
    run = Matrix(wanted=wanted, ready=ready, view=view, waiting=list(wanted.cells))
    keep(_all(run))
    with supervisor.listening() as heard:
        try:
            while run.waiting or run.jobs:
                before = len(run.results)
                _advance(run, time.monotonic())
                if len(run.results) > before:
                    keep(_all(run))
                if run.waiting or run.jobs:
                    asked = supervisor.pause(POLL_S) or (None if run.stopped_by else heard())
                    _halt(run, asked)
        finally:
            for job in run.jobs:
                job.going.close()
    return _all(run), run.stopped_by


def _advance(run: Matrix, now: float) -> None:
    """Take what has ended, and begin what there is room for."""
    for job in tuple(run.jobs):
        ended = job.going.poll(now)
        if ended is not None:
            _go_on(run, job, ended, now)
    while run.waiting and not run.halted and _begin(run, run.waiting[0], now):
        run.waiting.pop(0)
    if run.halted:
        run.waiting.clear()
    run.view.update(tuple(run.jobs), len(run.waiting), now)


def _halt(run: Matrix, asked: int | None) -> None:
    """Stop what runs when a signal asked for it; once more, and it hurries."""
    if asked is None:
        return
    if run.stopped_by is None:
        run.view.say("stopping: the cells that run are asked to stop")
    run.stopped_by, run.halted = run.stopped_by or asked, True
    for job in run.jobs:
        job.going.stop("request", time.monotonic())


def _begin(run: Matrix, cell: Cell, now: float) -> bool:
    """Begin a cell; say whether it is off the waiting list: begun, skipped or refused."""
    ready = run.planned.get(cell.name) or _plan(run, cell)
    if isinstance(ready, Result):
        _take(run, ready)
        return True
    run.planned[cell.name] = ready
    taken = ((job.berth, job.going.footprint.peak_mib or 0) for job in run.jobs)
    berth = run.wanted.room.berth(cell, ready.request.device, taken)
    if berth is None:
        return False
    _start(run, cell, ready, berth, now)
    return True


def _plan(run: Matrix, cell: Cell) -> Ready | Result:
    """Return a cell that can begin, or what it came to because it cannot."""
    required = cell.name in run.wanted.required
    try:
        ready = run.ready(cell)
    except SparkError as error:
        return _refused(cell, error, required=required)
    trouble = next((one for one in ready.plan.findings if one.level == "error" or one.code in LACKING), None)
    return ready if trouble is None else _unfit(cell, trouble, required=required)


def _start(run: Matrix, cell: Cell, ready: Ready, berth: Berth, now: float) -> None:
    place = _place(run.wanted, cell, berth)
    steps = course(Words(cell=cell, request=ready.request, plan=ready.plan), place)
    run.view.began(cell)
    going = Going(next(steps), place, now)
    run.jobs.append(Job(cell=cell, course=steps, place=place, berth=berth, going=going, began=now))


def _go_on(run: Matrix, job: Job, ended: Ended, now: float) -> None:
    """Let a cell take its next step, or take what it came to."""
    try:
        job.going = Going(job.course.send(ended), job.place, now)
        if run.halted:
            job.going.stop("request" if run.stopped_by else "fail-fast", now)
    except StopIteration as end:
        run.jobs.remove(job)
        _take(run, end.value)


def _take(run: Matrix, result: Result) -> None:
    run.results[result.cell.name] = result
    run.view.ended(result)
    if run.wanted.fail_fast and result.status == "failed" and not run.halted:
        run.halted = True
        for job in run.jobs:
            job.going.stop("fail-fast", time.monotonic())


def _refused(cell: Cell, error: SparkError, *, required: bool) -> Result:
    """Return a cell that cannot be planned: what this installation lacks is a reason to skip, a mistake is none."""
    if isinstance(error, LackError | UnreachableError):
        return _skipped(cell, error.message, error.hint, required=required)
    kind = "request" if isinstance(error, RequestError) else "check"
    return Result(cell=cell, status="failed", kind=kind, message=error.message, hint=error.hint)


def _unfit(cell: Cell, trouble: Finding, *, required: bool) -> Result:
    if trouble.code in LACKING:
        return _skipped(cell, trouble.message, trouble.hint, required=required)
    return Result(cell=cell, status="failed", kind="check", message=trouble.message, hint=trouble.hint)


def _skipped(cell: Cell, message: str, hint: str | None, *, required: bool) -> Result:
    if required:
        return Result(cell=cell, status="failed", kind="required", message=f"required, but {message}", hint=hint)
    return Result(cell=cell, status="skipped", message=message, hint=hint)


def _all(run: Matrix) -> tuple[Result, ...]:
    return tuple(run.results.get(cell.name) or _unrun(cell, run) for cell in run.wanted.cells)


def _unrun(cell: Cell, run: Matrix) -> Result:
    why = "stopped before" if run.stopped_by else "another cell failed" if run.halted else "not yet"
    return Result(cell=cell, status="not-run", message=f"not run: {why}")


_NAME = 150
"""So much of a cell's name is in its folder's."""


def _place(wanted: Wanted, cell: Cell, berth: Berth) -> Place:
    number = wanted.cells.index(cell) + 1
    name = re.sub(r"[^\w.+-]", "_", cell.name)[:_NAME]
    folder = wanted.folder / f"{number:02}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    return Place(
        folder=folder,
        environ=dict(os.environ) | dict(_surroundings(wanted, folder)) | dict(berth.env),
        stall_s=cell.stall_s,
        gpu=berth.gpu.index if berth.gpu else None,
        unified=berth.gpu is not None and berth.gpu.unified,
    )


def _surroundings(wanted: Wanted, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what makes a child find what was found here, wherever its folder lies."""
    yield "SPARK_RL_STATE", str(folder / "state")
    if wanted.facts.projects:
        yield "SPARK_RL_TASKS", os.pathsep.join(project.path for project in wanted.facts.projects)


def cleared(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """Remove the folders of cells in which nothing is worth a look, and return the results without them."""
    return tuple(result if result.status == "failed" else _cleared(result) for result in results)


def _cleared(result: Result) -> Result:
    if result.folder is None:
        return result
    shutil.rmtree(result.folder, ignore_errors=True)
    return replace(result, folder=None)
