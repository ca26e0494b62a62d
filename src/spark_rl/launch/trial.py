"""One trial of a sweep as a use case: a run that goes on where an earlier start of the trial left it, and reports."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_rl import jobs, launch, registry, sweeps
from spark_rl.errors import CheckError
from spark_rl.outcome import Outcome
from spark_rl.sweep import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spark_rl.model import Plan, Request
    from spark_rl.plan import Facts
    from spark_rl.records import Job, Run

    Planner = Callable[[Request], Plan]
    Score = Callable[[Run], "float | None"]

TAKEN_S = 150.0
"""Time for an earlier start of a trial to let go of its run: longer than the whole stop ladder."""

SILENT_S = 30.0
"""Age of a record on another host from which its trial counts as gone with its node: Ray says that it is."""

STALL = "30m"
"""Time without a new iteration after which a trial has failed: nobody watches it."""

_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a trial is to do: its ``number`` in the sweep in ``folder``, and the request for all of it.

    ``job`` is the job that it runs in, None outside.
    """

    folder: Path
    number: int
    request: Request
    facts: Facts
    job: Job | None = None


def run(task: Task, *, plan: Planner, score: Score, tell: Callable[[str], None]) -> Outcome | Run:
    """Train, from the beginning or on from where an earlier start of the trial ended; a trial that is done stays so.

    Args:
        task: What is to be done.
        plan: Makes the plan of a request.
        score: Returns the newest value of the sweep's metric, None where there is none yet.
        tell: Takes one line for the user.

    Raises:
        CheckError: It cannot be started, or an earlier start of the trial does not end.
    """
    before = _before(task)
    if before is not None and before.state == "succeeded":
        _Reporter(task, score).report(before)
        return before
    if before is None:
        what = launch.Start(plan=plan(task.request), request=task.request, facts=task.facts)
    else:
        what = launch.resumed(before, task.request, task.facts)
    what = replace(launch.limited(what, stall=STALL, max_restarts=0, detach=False), job=task.job)
    reporter = _Reporter(task, score)
    outcome = launch.start(what, show=reporter.begin, tell=tell)
    assert isinstance(outcome, Outcome)  # noqa: S101 - nothing was detached
    reporter.report(outcome.run)
    return outcome


def _before(task: Task) -> Run | None:
    """Return the run of an earlier start once nothing of that is left, None where there is none."""
    run_id = sweeps.run_of(task.folder, task.number)
    if run_id is None:
        return None
    until = time.monotonic() + TAKEN_S
    while not (found := registry.load(run_id)).over and not jobs.holds(task.job, found):
        if registry.is_alive(found.owner) is None and time.time() - found.updated_at > SILENT_S:
            lost = replace(found, state="lost", ended_at=found.updated_at, message="its node is gone")
            registry.save(lost)
            return lost
        if time.monotonic() > until:
            raise CheckError(f"run {run_id} of trial {task.number} does not end", f"spark-rl runs show {run_id}")
        time.sleep(_POLL_S)
    return found


class _Reporter:
    """The view of a trial: shows nothing, and writes down how far it is."""

    def __init__(self, task: Task, score: Score) -> None:
        self._task, self._score = task, score
        self._told: tuple[int | None, float | None] = (None, None)

    def begin(self, run: Run) -> _Reporter:
        """Write down which run it is."""
        sweeps.set_run(self._task.folder, self._task.number, run.id)
        return self

    def update(self, run: Run, at: float) -> None:  # noqa: ARG002 - a view's
        """Report an iteration that is new."""
        if run.progress.iteration != self._told[0]:
            self.report(run)

    def report(self, run: Run) -> None:
        """Report how far a run is, if its score is known and not told yet."""
        iteration, score = run.progress.iteration, self._score(run)
        if iteration is None or score is None or not math.isfinite(score) or (iteration, score) == self._told:
            return
        self._told = iteration, score
        sweeps.report(self._task.folder, self._task.number, sweeps.Report(iteration=iteration, score=score))

    def output(self, chunk: bytes) -> None:
        """Take what the child printed; its record keeps it."""

    def say(self, line: str) -> None:
        """Take a line for the user; the record says the same."""

    def close(self) -> None:
        """Stop reporting."""


def figure(metric: str, curve: Score) -> Score:
    """Return what reads a metric: ``reward``, ``length``, ``fps``, or a recorded tag by its ``curve``."""

    def score(run: Run) -> float | None:
        value = getattr(run.progress, metric) if metric in METRICS else curve(run)
        return None if value is None else float(value)

    return score


def leash(stream: int = 0) -> None:
    """Stop this process as Ctrl-C would when its standard input ends: who started it is gone.

    Ray's processes block INT, and a child inherits that.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

    def watch() -> None:
        while os.read(stream, 4096):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
