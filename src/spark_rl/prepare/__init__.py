"""Use cases that only look: from flags and files to a plan, a list of tasks, a picture of this machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import checks, settings, supplies
from spark_rl.plan import Context, plan, resolve
from spark_rl.plan.policy import run_folder
from spark_rl.plan.quantities import batch_rule
from spark_rl.prepare.candidates import candidates
from spark_rl.prepare.configured import NO_CHECKING, Checking, explain, known
from spark_rl.prepare.places import Place, describe, gather, remember, tasks

if TYPE_CHECKING:
    from spark_rl.model import Finding, Plan, Request
    from spark_rl.plan import Facts, Target
    from spark_rl.tuning import Tuning

__all__ = [
    "NO_CHECKING",
    "Checking",
    "Place",
    "decide",
    "describe",
    "explain",
    "gather",
    "meant",
    "remember",
    "sized",
    "tasks",
]


def decide(request: Request, facts: Facts, checking: Checking = NO_CHECKING) -> Plan:
    """Return the plan of a request, and what is wrong with the machine for it, unless the request wants no pre-flight.

    Reads the run folders where a checkpoint is wanted.

    Where there are overrides, the task's configuration is looked at as well: Isaac Lab's own, once, by a child.

    Raises:
        RequestError: The request is wrong for this installation and machine.
    """
    asked, target = resolve(request, facts)
    if asked.save_every is not None:
        facts = replace(facts, pace=_pace(target))
    files = candidates(asked, facts, target)
    decided = plan(asked, facts, target, files)
    if checking.wanted and asked.overrides:
        decided = plan(asked, facts, target, files, known(asked, facts, target, checking))
    if not asked.preflight:
        return decided
    found = (*decided.findings, *checks.for_plan(decided, asked, facts.host), *_absent_assets(decided, facts))
    return replace(decided, findings=checks.ordered(found))


def _absent_assets(decided: Plan, facts: Facts) -> tuple[Finding, ...]:
    """Return what a local asset root lacks of what the task is known to need; nobody is asked for it."""
    chosen = supplies.chosen_root(decided, facts.host)
    folder = supplies.local_folder(chosen[0]) if chosen else None
    if folder is None or not facts.here:
        return ()
    from spark_rl import retrieving

    needs = retrieving.known(decided, facts.catalog.tasks, settings.cache_folder())
    if needs is None:
        return ()
    absent = tuple(need for need in needs.below("isaac") if not Path(folder, need.path).is_file())
    newton = Path(os.environ.get("NEWTON_ASSET_DIR") or Path(folder, supplies.NEWTON_FOLDER))
    second = () if newton.is_dir() else needs.below("newton")
    others = (*(needs.newton for _ in second[:1]), *(need.path for need in needs.elsewhere))
    return checks.absent_assets(needs.task, folder, absent, tuple(other for other in others if other))


def sized(request: Request, facts: Facts, *, here: bool) -> Request:
    """Return the request with the env count that ``auto`` means: what was measured here, else the task's own.

    Here, or on another host with the same GPU whose measurements are kept in the same place.

    Args:
        request: The request; one that names a number, or none, is left as it is.
        facts: The facts of the machine.
        here: Whether they are of this machine.

    Raises:
        RequestError: The request is wrong for this installation.
    """
    if not request.auto_envs:
        return request
    from spark_rl import times, tuning

    target = resolve(request, facts)[1]
    found, place = _measured(request, facts, target) if here else (None, "")
    if found is not None:
        horizon, minibatch = batch_rule(target)
        count = tuning.Rules(first=1, horizon=horizon, minibatch=minibatch).aligned(found.knee)
        why = f"auto: {count}, the knee that `spark-rl tune` found {place} on {times.iso(found.at)[:10]}"
        return replace(request, auto_envs=False, num_envs=count, num_envs_reason=why)
    usual = target.task.task.num_envs
    hint = "spark-rl tune measures this machine" if here else "what was measured there is known there alone"
    why = f"auto: {usual or 'not known'}, the task's default ({hint})"
    return replace(request, auto_envs=False, num_envs=usual, num_envs_reason=why)


def _measured(request: Request, facts: Facts, target: Target) -> tuple[Tuning | None, str]:
    """Return what `tune` found for a request, and where."""
    from spark_rl import registry, tuning, tunings

    key, state = tuning.key(request, facts, target, registry.owner_now().host), registry.folder()
    found = tunings.load(state, key)
    if found is not None:
        return found, "here"
    found = tunings.alike(state, key)
    return found, f"on {found.key.host}, with the same GPU," if found else ""


def meant(request: Request, facts: Facts) -> tuple[str, str, str, str]:
    """Return the task id, library, algorithm and working directory that a request means.

    Raises:
        RequestError: The request is wrong for this installation.
    """
    request, target = resolve(request, facts)
    context = Context(request=request, facts=facts, target=target)
    return target.task.task.id, target.library, target.algorithm, run_folder(context)


def _pace(target: Target) -> float | None:
    """Return the seconds an iteration of this task and library took last time, None where no record tells."""
    from spark_rl import registry

    same = registry.of_task(target.task.task.id, target.library)
    return next((run.progress.iteration_seconds for run in same if run.progress.iteration_seconds), None)
