"""The record of a run at its beginning and at its end."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from spark_rl import __version__, counting, documents, external, jobs, provenance, ranks, registry
from spark_rl.errors import CheckError
from spark_rl.evidence import is_limit
from spark_rl.outcome import Outcome
from spark_rl.records import Progress, Run

if TYPE_CHECKING:
    from spark_rl.errors import SparkError
    from spark_rl.launch import Start
    from spark_rl.launch.attempts import Ended


def begun(what: Start) -> Run:
    """Record the run, or that one more attempt of it begins; from here on this process alone supervises it.

    Raises:
        CheckError: The record cannot be written, or another process goes on with the run.
    """
    if what.continues is not None:
        return _begun_again(what, what.continues)
    run = registry.create(start_of(what), draft(what))
    registry.claim(run.id)
    return run


def draft(what: Start) -> Run:
    """Return the record of a new run, without its number."""
    decided, now = what.plan, time.time()
    return Run(
        id="",
        action="tune" if what.measures else decided.action,
        task=decided.task.task.id,
        library=decided.library,
        algorithm=decided.algorithm,
        version=decided.isaaclab.version,
        cwd=decided.cwd,
        argv=decided.argv,
        state="starting",
        started_at=now,
        updated_at=now,
        owner=registry.owner_now(),
        run_name=what.request.run_name,
        world_size=ranks.world_size(decided.argv),
        progress=Progress(max_iterations=what.total or what.request.max_iterations),
        job=what.job,
    )


def _begun_again(what: Start, before: Run) -> Run:
    """Record that one more attempt of a run begins.

    Raises:
        CheckError: Another spark-rl goes on with it, or has since the plan was made.
    """
    claimed = registry.claim(before.id)
    now = registry.load(before.id)
    if not claimed or not (now.over or jobs.holds(what.job, now)) or len(now.attempts) != len(before.attempts):
        registry.release(before.id)
        raise CheckError(
            f"run {before.id} goes on: another spark-rl resumed it", f"watch it with: spark-rl runs attach {before.id}"
        )
    if not now.attempts:  # what was planned where it was submitted is planned anew where it runs
        decided = what.plan
        registry.save_start(now.id, start_of(what))
        now = replace(
            now, argv=decided.argv, cwd=decided.cwd, started_at=time.time(), world_size=ranks.world_size(decided.argv)
        )
    run = replace(
        now,
        state="starting",
        job=what.job,
        owner=registry.owner_now(),
        updated_at=time.time(),
        ended_at=None,
        unattended=False,
        progress=replace(now.progress, max_iterations=what.total or now.progress.max_iterations),
        message=None,
        failure=None,
        hint=None,
    )
    registry.save(run)
    return run


def between(run: Run) -> Run:
    """Record that a run waits for its next attempt, and return it."""
    run = replace(run, state="starting", updated_at=time.time())
    registry.save(run)
    return run


def start_of(what: Start) -> documents.Document:
    """Return what is known before the child starts: enough to plan it again, and to say what it ran on."""
    decided, facts = what.plan, what.facts
    source = external.project_of(decided.task.task, facts.projects)
    git = provenance.git_state(provenance.source_folder(source, facts.installation, what.request.cwd))
    return documents.start(
        what.request,
        decided,
        facts.host,
        spark_rl=__version__,
        versions=provenance.versions(facts.installation, decided.library, os.environ),
        git=asdict(git) if git else None,
    )


def adopt(run: Run) -> Run:
    """Make this process the one that supervises the run."""
    run = replace(run, owner=registry.owner_now(), unattended=True)
    registry.save(run)
    return run


def fail(ident: str, error: SparkError) -> None:
    """Record that a run could not begin, unless its record says already what it came to."""
    run = registry.load(ident)
    if not run.over:
        now = time.time()
        told = replace(run, message=error.message, hint=error.hint, failure="user-error")
        registry.save(replace(told, state="failed", ended_at=now, updated_at=now))


def finish(what: Start, ended: Ended) -> Outcome:
    """Write the outcome down and return it."""
    played, verdict = ended.played, ended.verdict
    videos = tuple(path for _, path in sorted(ended.traces.videos))
    exported = tuple(sorted(path for _, path in ended.traces.exported))
    now = time.time()
    earlier = len(what.continues.attempts) if what.continues else 0
    if what.job is not None and verdict.state == "interrupted" and is_limit(ended.exit.stopped_by):
        ended = _ahead_of_the_limit(ended)
        verdict = ended.verdict
    run = replace(
        ended.run,
        state=verdict.state,
        message=verdict.message,
        failure=verdict.failure,
        hint=verdict.hint,
        ended_at=now,
        updated_at=now,
        videos=videos,
        exported=exported,
        mean_return=played.mean_return if played else None,
        mean_length=played.mean_length if played else None,
    )
    if run.state == "interrupted" and is_limit(ended.exit.stopped_by) and run.job is not None:
        run = replace(run, state="starting", ended_at=None, job=replace(run.job, waits=True))
    registry.save(run)
    if not registry.load_start(run.id):  # somebody removed the folder under the run
        registry.save_start(run.id, start_of(what))
    return Outcome(
        run=run,
        state=verdict.state,
        message=verdict.message,
        hint=verdict.hint,
        plan=what.plan,
        exit_status=ended.exit.status,
        stopped_by=ended.exit.stopped_by,
        seconds=sum((one.ended_at or now) - one.started_at for one in run.attempts[earlier:]),
        checkpoint=run.progress.checkpoint,
        log_dir=run.log_dir,
        videos=videos,
        exported=exported,
        played=played,
    )


def _ahead_of_the_limit(ended: Ended) -> Ended:
    """Return how an attempt ended that a time limit cut short: the last of several in vain has failed.

    The first may have been planned without knowing how long an iteration takes; the next one knows.
    """
    points = [one.first_iteration for one in ended.run.attempts[-FRUITLESS:]]
    points.append(counting.resumes_at(ended.run.progress.checkpoint_iteration or 0, ended.run.library))
    if len(points) <= FRUITLESS or points[-1] > points[0]:
        hint = "its next start goes on from the newest checkpoint"
        return replace(ended, verdict=replace(ended.verdict, hint=hint))
    return replace(
        ended,
        verdict=replace(
            ended.verdict,
            state="failed",
            failure="user-error",
            message=f"{FRUITLESS} starts in a row came to no new checkpoint ahead of the time limit",
            hint=f"save more often, or ask for more time: spark-rl runs resume {ended.run.id} --time 8h",
        ),
    )


FRUITLESS = 2
"""So many starts in a row without a new checkpoint end a run that goes on after its time limit."""
