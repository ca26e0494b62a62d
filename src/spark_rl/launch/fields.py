"""A sweep's folder read: which trials are known, how each is, and what an engine is told to run."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import TYPE_CHECKING

from spark_rl import registry, sweeps
from spark_rl.engines import Submission, orders
from spark_rl.errors import RequestError
from spark_rl.sweep import METRICS, Result, Trial, expansion, ranking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spark_rl.records import Run
    from spark_rl.sweep import State, Sweep
    from spark_rl.sweep.packing import Needs, Room

CARRIED = (
    "ISAACSIM_ASSET_ROOT",
    "NEWTON_ASSET_DIR",
    "OMNI_KIT_ACCEPT_EULA",
    "PYTHONPATH",
    "XDG_CACHE_HOME",
)
"""Variables that a trial on another node needs as they are here, besides those of spark-rl."""

TALK, LOG = "ray.log", "trials.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A sweep with its folder, the working directory of its commands, and the trials that are known."""

    sweep: Sweep
    folder: Path
    cwd: Path
    trials: tuple[Trial, ...]

    @property
    def total(self) -> int:
        """How many trials there are to be, those that a search has yet to suggest included."""
        if self.sweep.search != "optuna":
            return len(self.trials)
        return self.sweep.draws * len(self.sweep.seeds)


def results(field: Field) -> tuple[Result, ...]:
    """Return what the records tell of every trial that is known."""
    return tuple(result(field, trial) for trial in field.trials)


def result(field: Field, trial: Trial) -> Result:
    """Return what the record of a trial tells, and its newest report."""
    folder, number = field.folder, trial.number
    told = sweeps.reports(folder, number)
    known = Result(
        trial=trial,
        run=sweeps.run_of(folder, number),
        iteration=told[-1].iteration if told else None,
        score=told[-1].score if told else None,
    )
    if known.run is None:
        return known
    with suppress(RequestError):  # its record was removed: it begins again
        run = registry.load(known.run)
        total, state = run.progress.max_iterations, "waiting" if run.waits else _state(run.state, over=run.over)
        if state != "complete" and sweeps.is_stopped(folder, number):
            state = "stopped"
        known = _newer(known, run, field.sweep.metric)
        return replace(known, state=state, max_iterations=total, message=run.message, node=run.owner.host)
    return replace(known, run=None)


def _newer(known: Result, run: Run, metric: str) -> Result:
    """Return a result with what the run's own record tells: one that ``runs resume`` went on with reports nothing."""
    iteration = run.progress.iteration
    score = getattr(run.progress, metric) if metric in METRICS else None
    if iteration is None or score is None or not isfinite(score) or iteration <= (known.iteration or 0):
        return known
    return replace(known, iteration=iteration, score=float(score))


def _state(word: str, *, over: bool) -> State:
    if word in ("succeeded", "failed"):
        return "complete" if word == "succeeded" else "failed"
    return "unfinished" if over else "running"


def left(field: Field) -> tuple[Result, ...]:
    """Return the trials that are still to be done; those that failed are tried again."""
    return tuple(result for result in results(field) if result.state not in ("complete", "stopped"))


def submission(field: Field, each: Needs, trials: Sequence[Trial]) -> Submission:
    """Return an array with a command for each trial, whose number the element has."""
    return Submission(
        name=field.sweep.name,
        commands=tuple(_command(field.folder, trial.number) for trial in trials),
        numbers=tuple(trial.number for trial in trials),
        cwd=str(field.cwd),
        log=str(field.folder / LOG),
        env=_carried(os.environ),
        gpus=ceil(each.gpus),
        cpus=each.cpus,
        memory_mib=each.memory_mib,
        parallel=field.sweep.parallel,
    )


def _command(folder: Path, number: int, *more: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "spark_rl", *words(folder, number, *more))


def words(folder: Path, number: int, *more: str) -> tuple[str, ...]:
    """Return the words of spark-rl that run a trial."""
    return ("trial", str(folder), str(number), *more)


def _carried(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    named = {name: value for name, value in environ.items() if name.startswith("SPARK_RL_") or name in CARRIED}
    return tuple(sorted((named | {"SPARK_RL_STATE": str(registry.folder())}).items()))


# --- the order


def order(field: Field, each: Needs, there: Room, longest: int | None, address: str | None) -> orders.Order:
    """Return what Ray is told: the trials that are left, and what it must know of those that are over.

    Args:
        field: The sweep and its trials.
        each: What a trial takes.
        there: What this machine has.
        longest: The iterations of a trial, which ASHA must know.
        address: A running Ray, None for one of our own.

    Raises:
        RequestError: ASHA is wanted, and nothing tells how long a trial is.
    """
    sweep, folder = field.sweep, field.folder
    undone = [result.trial.number for result in left(field)]
    known = {trial.number: trial for trial in field.trials}
    searched = sweep.search == "optuna"
    if searched:
        undone = [number for number in range(1, field.total + 1) if number in undone or number not in known]
    over = [result for result in results(field) if result.state in ("complete", "stopped")]
    return orders.Order(
        common=submission(field, each, ()),
        gpu_share=each.gpus,
        elements=tuple(
            orders.Element(
                number=number,
                command=_command(folder, number, "--leash"),
                log=str(sweeps.home(folder, number) / "output.log"),
                reports=str(sweeps.reports_file(folder, number)),
                lane=_lane(sweep, number),
                values=expansion.coded(sweep, known[number].values) if searched and number in known else (),
            )
            for number in undone
        ),
        goal=sweep.goal,
        talk=str(folder / TALK),
        parallel=sweep.parallel,
        time_s=sweep.time_s,
        asha=_asha(sweep, longest),
        optuna=_optuna(field) if searched else None,
        earlier=tuple(_earlier(field, result.trial) for result in over),
        address=address,
        cpus=there.cpus,
        gpus=there.gpus,
        memory_mib=there.memory_mib,
    )


def _lane(sweep: Sweep, number: int) -> int:
    return (number - 1) % len(sweep.seeds)


def _earlier(field: Field, trial: Trial) -> orders.Earlier:
    told = sweeps.reports(field.folder, trial.number)
    return orders.Earlier(
        lane=_lane(field.sweep, trial.number), reports=tuple((one.iteration, one.score) for one in told)
    )


def _asha(sweep: Sweep, longest: int | None) -> orders.Asha | None:
    if sweep.scheduler != "asha":
        return None
    if longest is None:
        raise RequestError(f"asha must know how long a trial is, and {sweep.name} does not say", "max_iterations = N")
    grace = sweep.grace or max(1, longest // sweep.reduction**2)
    return orders.Asha(grace=grace, reduction=sweep.reduction, longest=longest)


def _optuna(field: Field) -> orders.Optuna:
    sweep = field.sweep
    rows = ranking.ranked(results(field), sweep.goal)
    known = tuple(
        (expansion.coded(sweep, row.values), row.median) for row in rows if row.complete and row.median is not None
    )
    space = tuple(
        orders.Dimension(
            name=one.name,
            choices=len(one.values) or None,
            low=one.low,
            high=one.high,
            log=one.kind == "loguniform",
            whole=one.whole,
        )
        for one in sweep.parameters
    )
    return orders.Optuna(space=space, repeats=len(sweep.seeds), seed=sweep.search_seed + len(known), known=known)
