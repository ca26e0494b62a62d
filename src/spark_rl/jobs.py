"""What an engine's word on a job means for the run that is in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from spark_rl.records import Job, Run

State = Literal["pending", "running", "done", "failed", "cancelled", "gone"]
"""What an engine says of a job, in words of :mod:`spark_rl.engines`."""


def is_asked(run: Run) -> bool:
    """Say whether an engine knows more of a run than its record: it is not over, or nobody saw its end."""
    return run.job is not None and bool(run.job.ident) and (not run.over or run.state == "lost")


def holds(job: Job | None, run: Run) -> bool:
    """Say whether a run that is not over belongs to the job that this process runs in, None outside.

    Slurm starts a job again once nothing is left of its last start, also where a dead host's record looks alive.
    """
    return job is not None and run.job is not None and run.job.ident in ("", job.ident)


def judged(run: Run, state: State, native: str, reason: str | None) -> Run:
    """Return a run of which :func:`is_asked`, as its engine sees it.

    A job that waits, or runs, is no lost run, whatever became of the supervisor of its last start. One that is over
    without a last word of the run's own supervisor takes the run with it.
    """
    job = run.job
    assert job is not None  # noqa: S101 - the caller looked
    run = replace(run, job=replace(job, native=native or None, reason=reason))
    if state == "pending":
        return replace(run, state="starting", message=None if run.state == "lost" else run.message)
    if state == "running":
        begun = bool(run.attempts) and not job.waits
        return run if run.state != "lost" else replace(run, state="running" if begun else "starting", message=None)
    return _ended(run, state)


def _ended(run: Run, state: State) -> Run:
    job = run.job
    assert job is not None  # noqa: S101 - the caller looked
    resume, printed = f"go on with: spark-rl runs resume {run.id}", f"see what it printed: spark-rl runs log {run.id}"
    if state == "cancelled":
        return replace(run, state="interrupted", message=f"{job.engine} job {job.ident} was cancelled", hint=resume)
    if state == "gone" and not run.attempts:
        why = f"{job.engine} does not know job {job.ident} any more, and the run never began"
        return replace(run, state="lost", message=why, hint=f"{printed}; {resume}")
    if state == "gone":
        why = f"{job.engine} does not know job {job.ident} any more, and the run has not told its end"
        return replace(run, state="lost", message=why, hint=resume)
    if run.attempts:
        why = f"{job.engine} job {job.ident} is over, {job}, without a last word of the run"
        return replace(run, state="lost", message=why, hint=f"what was saved can be resumed; {resume}")
    why = f"{job.engine} job {job.ident} ended before its run began: {job}"
    return replace(run, state="failed", message=why, hint=printed)
