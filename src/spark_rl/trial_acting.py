"""What ``spark-rl trial`` has to do: one training of a sweep, where an engine has placed it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import launch, learning, plan, prepare, registry, render, runs, settings, sweep_planning, sweeps
from spark_rl.engines import slurm
from spark_rl.errors import CheckError, RequestError
from spark_rl.launch import fields, submitting
from spark_rl.launch import trial as trials
from spark_rl.records import Job, Run
from spark_rl.sweep import expansion, reading

if TYPE_CHECKING:
    from spark_rl.model import Request
    from spark_rl.plan import Facts
    from spark_rl.sweep import Trial


def trial(folder: Path, number: int, values: str | None, *, leash: bool, adopt: bool) -> int:
    """Carry out ``spark-rl trial`` and return its exit code."""
    if leash:
        trials.leash()
    start = sweeps.load(folder)
    wanted = reading.sweep(start["document"], start["recipe"], start["file"])
    one = expansion.suggested(wanted, number, json.loads(values)) if values else _known(folder, number)
    cwd, home = Path(start["cwd"]), sweeps.home(folder, number)
    home.mkdir(parents=True, exist_ok=True)
    facts = prepare.gather(prepare.Place(cwd=cwd, isaaclab=start["isaaclab"]))
    job = _job(folder, number) if adopt else None
    request = _counted(sweep_planning.request_of(wanted, one, cwd), facts, sweeps.run_of(folder, number))
    request = replace(request, cwd=str(home), preflight=job is not None)
    if job is not None:
        limits = submitting.Wanted(engine=job.engine, settings=settings.load(cwd))
        request = submitting.fitted(request, limits, plan.resolve(request, facts)[1].library)
    ended = trials.run(
        trials.Task(folder=folder, number=number, request=request, facts=facts, job=job),
        plan=lambda asked: prepare.decide(asked, facts),
        score=trials.figure(wanted.metric, lambda run: _curve(run, wanted.metric)),
        tell=render.talk,
    )
    if isinstance(ended, launch.Outcome):
        render.outcome(ended)
        return launch.exit_code(ended)
    return 0


def _job(folder: Path, number: int) -> Job:
    """Return the job that this trial runs in.

    Raises:
        RequestError: It runs in none.
    """
    ident = submitting.inside(os.environ)
    return Job(engine="slurm", ident=ident, waits=False, log=slurm.log_of(str(folder / fields.LOG), number))


def _counted(request: Request, facts: Facts, before: str | None) -> Request:
    """Return a request with the number of environments that ``auto`` means here, or meant for an earlier start."""
    run = registry.entry(before) if before is not None and request.auto_envs else None
    request = runs.counted(request, run) if isinstance(run, Run) else request
    return prepare.sized(request, facts, here=True)


def _known(folder: Path, number: int) -> Trial:
    found = next((one for one in sweeps.load_trials(folder) if one.number == number), None)
    if found is None:
        raise RequestError(f"{folder} has no trial {number}", "see them with: spark-rl sweep FILE --results")
    return found


def _curve(run: Run, tag: str) -> float | None:
    """Return the newest value of a recorded tag, None where there is none yet."""
    try:
        curves = learning.learned(run, (tag,)).curves
    except (CheckError, RequestError):
        return None
    return next((curve.final for curve in curves.values()), None)
