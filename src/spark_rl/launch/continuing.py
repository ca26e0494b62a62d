"""Going on with a run: from its newest whole checkpoint to the iterations that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import checkpoint_files, checks, counting, logs
from spark_rl.errors import RequestError
from spark_rl.model import Finding
from spark_rl.plan import plan, resolve

if TYPE_CHECKING:
    from spark_rl.model import CheckpointFile, Plan, Request
    from spark_rl.plan import Facts
    from spark_rl.records import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """Where a run goes on: from ``checkpoint``, after ``done`` iterations (None and 0: from the beginning).

    ``damaged`` are the files that were passed over.
    """

    checkpoint: CheckpointFile | None = None
    done: int = 0
    damaged: tuple[str, ...] = ()


def find(run: Run) -> Continuation:
    """Return the most trained checkpoint of all attempts of a run that is whole."""
    damaged: list[str] = []
    for held, file in saved(run):
        if checkpoint_files.is_whole(file.path):
            done = counting.resumes_at(held, run.library)
            return Continuation(checkpoint=file, done=done, damaged=tuple(damaged))
        damaged.append(file.path)
    return Continuation(damaged=tuple(damaged))


def finite(run: Run) -> CheckpointFile | None:
    """Return the most trained checkpoint of a run that is not known to hold NaN or infinity."""
    return next((file for _, file in saved(run) if checkpoint_files.is_finite(file.path) is not False), None)


def saved(run: Run) -> list[tuple[int, CheckpointFile]]:
    """Return every periodic and final checkpoint of a run with the iterations it holds, the most trained first."""
    found = []
    for attempt in run.attempts:
        if attempt.log_dir is None:
            continue
        scale = logs.scale_of(run, attempt)
        for file in logs.list_run(Path(attempt.log_dir), run.library):
            done = logs.held(file, scale, attempt.iteration)
            if done is not None:
                found.append((done, file))
    return sorted(found, key=lambda pair: (pair[0], pair[1].modified), reverse=True)


def onward(request: Request, at: Continuation, total: int | None, run: Run) -> Request:
    """Return the request for what is left of a run.

    rl_games counts on to an absolute number of epochs; the others are given the number that is left.

    Raises:
        RequestError: Nothing is left, or it is not known how much.
    """
    if total is None:
        raise RequestError(
            f"run {run.id} does not say how many iterations it was to have", "name them: --max-iterations N"
        )
    left = total - at.done
    if left <= 0 or (run.state == "succeeded" and (run.progress.iteration or 0) >= total):
        raise RequestError(
            f"run {run.id} has all of its {total} iterations",
            f"train on with --max-iterations {2 * max(total, run.progress.iteration or 0)}",
        )
    return replace(
        request,
        checkpoint=at.checkpoint.path if at.checkpoint else None,
        resume=False,
        load_run=None,
        max_iterations=total if run.library == "rl_games" else left,
    )


def planned(request: Request, facts: Facts, at: Continuation, run: Run) -> Plan:
    """Return the plan of a request that goes on with a run, with what cannot be carried over said plainly."""
    request, target = resolve(request, facts)
    facts = replace(facts, pace=run.progress.iteration_seconds or facts.pace)
    decided = plan(request, facts, target, (at.checkpoint,) if at.checkpoint else ())
    counted = tuple(replace(one, hint=None) if one.code == "skrl-resume" else one for one in decided.findings)
    checked = checks.for_plan(decided, request, facts.host) if request.preflight else ()
    return replace(decided, findings=checks.ordered((*counted, *checked, *_losses(at, run))))


def _losses(at: Continuation, run: Run) -> tuple[Finding, ...]:
    found = [
        Finding(code="checkpoint-damaged", level="warning", message=f"{path} is incomplete and passed over")
        for path in at.damaged
    ]
    if at.checkpoint is None:
        message = f"run {run.id} has no whole checkpoint: it starts again from the beginning"
        found.append(Finding(code="resume-from-nothing", level="warning", message=message))
    elif run.library == "sb3" and any(
        logs.read_params(Path(attempt.log_dir)).normalizes for attempt in run.attempts if attempt.log_dir
    ):
        message = "sb3 does not keep its running statistics of observations with a checkpoint: they start anew"
        found.append(Finding(code="sb3-normalization", level="warning", message=message))
    return tuple(found)
