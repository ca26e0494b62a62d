"""The trials of a sweep in the hands of an engine that goes on without this process: hand over, ask, end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import engines, sweeps
from spark_rl.engines import slurm
from spark_rl.errors import CheckError
from spark_rl.launch import fields, submitting, sweeping
from spark_rl.launch.sweeping import Swept
from spark_rl.records import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.engines import Submission
    from spark_rl.launch.fields import Field
    from spark_rl.launch.submitting import Wanted
    from spark_rl.sweep.packing import Needs

POLL_S = 1.0
"""Time between two questions to an engine."""


def submit(field: Field, each: Needs, wanted: Wanted) -> Swept:
    """Hand the trials that are left to an engine that runs them without this process, after :func:`refuse_twice`.

    Args:
        field: The sweep and its trials.
        each: What a trial takes.
        wanted: The engine, its own options in the settings, and the time limit of a trial.

    Raises:
        CheckError: The engine refuses, or nothing is left to do.
        RequestError: The time limit is none.
    """
    name = wanted.engine
    told = submission(field, each, wanted)
    try:
        ident = engines.load(name).submit(told)
    except CheckError:
        sweeps.withdraw(field.folder)
        raise
    sweeps.note_submitted(field.folder, name, ident)
    return Swept(field=field, results=fields.results(field), submitted=ident, job=Job(engine=name, ident=ident))


def submission(field: Field, each: Needs, wanted: Wanted) -> Submission:
    """Return what :func:`submit` hands over.

    Raises:
        CheckError: Nothing is left to do.
        RequestError: The time limit is none, or a setting makes no sense.
    """
    trials = [result.trial for result in fields.left(field)]
    if not trials:
        raise CheckError(f"every trial of {field.folder} is done", "see them with --results")
    told = fields.submission(field, each, trials)
    if wanted.engine != "slurm":
        return told
    values = wanted.settings
    own = submitting.program(values)
    # The trial fits how often it saves to its time limit.
    given = {"SPARK_RL_SLURM_TIME": wanted.time} if wanted.time else {}
    return replace(
        told,
        commands=tuple((*own, *fields.words(field.folder, trial.number, "--adopt")) for trial in trials),
        env=tuple(sorted((dict(told.env) | given).items())),
        options=submitting.options(values, wanted.partition),
        time_s=submitting.limit_s(wanted),
        cpus=field.sweep.cpus or submitting.cpus(values),
        memory_mib=field.sweep.memory_mib,
    )


def refuse_twice(field: Field) -> None:
    """Stop where an engine still has trials of this sweep: two starts of a trial would meet in one folder.

    Raises:
        CheckError: It has.
    """
    job = submitted(field)
    if job is not None and job.waits:
        raise CheckError(
            f"what was submitted for {field.folder} still goes on: {described(job)}",
            "see how far it is with --results, or end it with --stop",
        )


def submitted(field: Field) -> Job | None:
    """Return what an engine was last given of a sweep, None where none was; it ``waits`` until all of it is over.

    Raises:
        CheckError: The engine does not answer.
    """
    name, ident = sweeps.submitted(field.folder) or (None, "")
    if name is None:
        return None
    status = engines.load(name).poll(ident)
    waits = status.state in ("pending", "running")
    return Job(engine=name, ident=ident, waits=waits, native=status.native or None, reason=status.reason)


def called(job: Job) -> str:
    """Return what a person calls what an engine has; local's own id is for spark-rl alone."""
    return f"{job.engine} job {job.ident}" if job.engine == "slurm" else f"engine {job.engine}"


def described(job: Job) -> str:
    """Return what an engine has, and its word on it."""
    return f"{called(job)}: {job}"


def stop(field: Field, tell: Callable[[str], None]) -> None:
    """End what an engine has of a sweep, and wait until all of it is over.

    Raises:
        CheckError: It has nothing, or does not answer.
    """
    job = submitted(field)
    if job is not None and not job.waits:
        raise CheckError(f"{described(job)}: nothing of {field.folder} is left to end", "see it with --results")
    if job is None:
        raise CheckError(f"no engine has anything of {field.folder}", "a sweep on Ray ends with Ctrl-C, where it runs")
    engines.load(job.engine).cancel(job.ident)
    tell(f"stopping {described(job)}; its trials end their runs")
    while (job := submitted(field)) and job.waits:
        time.sleep(POLL_S)


def looked(field: Field) -> Swept:
    """Return how far a sweep is, with the word of the engine that has it.

    Raises:
        CheckError: The best recipe cannot be written.
    """
    swept = sweeping.finished(field)
    try:
        job = submitted(field)
    except CheckError as error:
        name, ident = sweeps.submitted(field.folder) or ("", "")
        job = Job(engine=name, ident=ident, reason=error.message)
    unborn = [one.trial.number for one in swept.results if one.run is None]
    logs = (Path(slurm.log_of(str(field.folder / fields.LOG), number)) for number in unborn)
    printed = next((str(log) for log in logs if job is not None and not job.waits and log.exists()), None)
    return replace(swept, job=job, printed=printed)
