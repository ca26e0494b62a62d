"""The record of a run at its beginning and at its end."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from spark_rl import __version__, documents, external, provenance, registry
from spark_rl.outcome import Outcome
from spark_rl.records import Run

if TYPE_CHECKING:
    from spark_rl.launch import Start
    from spark_rl.launch.attempts import Ended
    from spark_rl.model import Plan


def ranks(decided: Plan) -> int:
    """Return how many ranks a plan starts, 1 where it is left to torchrun."""
    words = [word.partition("=") for word in decided.argv]
    named = [value for name, _, value in words if name == "--nproc_per_node"]
    after = [decided.argv[at + 1] for at, word in enumerate(decided.argv[:-1]) if word == "--num_gpus"]
    return next((int(text) for text in (*named, *after) if text.isdecimal()), 1)


def begun(what: Start) -> Run:
    """Record the run, or that one more attempt of it begins."""
    if what.continues is not None:
        run = replace(what.continues, state="starting", owner=registry.owner_now(), ended_at=None, unattended=False)
        registry.save(run)
        return run
    decided, now = what.plan, time.time()

    draft = Run(
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
        world_size=ranks(decided),
    )
    return registry.create(_start(what), draft)


def _start(what: Start) -> documents.Document:
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


def finish(what: Start, ended: Ended) -> Outcome:
    """Write the outcome down and return it."""
    played, verdict = ended.played, ended.verdict
    videos = tuple(path for _, path in sorted(ended.traces.videos))
    exported = tuple(sorted(path for _, path in ended.traces.exported))
    now = time.time()
    earlier = len(what.continues.attempts) if what.continues else 0
    run = replace(
        ended.run,
        state=verdict.state,
        ended_at=now,
        updated_at=now,
        videos=videos,
        exported=exported,
        mean_return=played.mean_return if played else None,
        mean_length=played.mean_length if played else None,
    )
    registry.save(run)
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
