"""What the trials of a sweep are asked and planned to do, and what each of them takes."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_rl import gpus, plan, prepare, registry, render, requests, settings, tuning, tunings
from spark_rl.launch import submitting
from spark_rl.sweep import expansion, packing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spark_rl.model import Plan, Request
    from spark_rl.plan import Facts
    from spark_rl.sweep import Sweep, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Every trial with its plan; of a search the corners of its space. ``longest`` are the most iterations of one."""

    trials: tuple[Trial, ...]
    pairs: tuple[tuple[Trial, Plan], ...]
    needs: packing.Needs
    device: str | None
    longest: int | None


def planned(wanted: Sweep, cwd: Path, facts: Facts, known: Sequence[Trial], given: Mapping[str, Any]) -> Planned:
    """Plan every trial: overrides are checked before anything starts.

    Args:
        wanted: The sweep.
        cwd: Where it is started.
        facts: Of this machine and its Isaac Lab.
        known: The trials of an earlier start, none for a new sweep.
        given: The options of the command.

    Raises:
        RequestError: A trial's request is wrong.
    """
    if wanted.search == "optuna":
        every, shown = (
            tuple(known),
            expansion.numbered(replace(wanted, seeds=wanted.seeds[:1]), expansion.corners(wanted)),
        )
    else:
        draw = random.Random(wanted.search_seed).random  # noqa: S311 - the same draws every time are the point
        every = tuple(known) or expansion.trials(wanted, draw)
        shown = every
    asked = [request_of(wanted, trial, cwd) for trial in shown]
    # Who joins a cluster often sits where no GPU is: 0 of them would have every trial train on the first one there.
    if given["engine"] == "slurm" or (given["address"] and not gpus.visible(facts.host)):
        facts = submitting.supposed(facts, asked[0])
        asked = [submitting.planned(request) for request in asked]
    else:
        asked = [replace(prepare.sized(one, facts, here=True), preflight=given["preflight"]) for one in asked]
    plans = _decided(asked, facts, prepare.Checking(wanted=given["check"], tell=render.talk))
    prepare.remember(facts)
    return Planned(
        trials=every,
        pairs=tuple(zip(shown, plans, strict=True)),
        needs=_needs(wanted, facts, asked),
        device=asked[0].device,
        longest=max((_length(one, decided) or 0 for one, decided in zip(asked, plans, strict=True)), default=0) or None,
    )


def _decided(asked: Sequence[Request], facts: Facts, checking: prepare.Checking) -> list[Plan]:
    """Return the plans of requests; where the first overrides cannot be checked, Isaac Lab is not asked again."""
    plans = []
    for one in asked:
        decided = prepare.decide(one, facts, checking)
        if any(finding.code == "overrides-unchecked" for finding in decided.findings):
            checking = prepare.NO_CHECKING
        plans.append(decided)
    return plans


def request_of(wanted: Sweep, trial: Trial, cwd: Path) -> Request:
    """Return the request of a trial; ``auto`` environments are not settled yet.

    Raises:
        RequestError: It is wrong.
    """
    return requests.build(
        "train",
        expansion.flags(wanted, trial),
        rest=expansion.overrides(wanted, trial.values),
        passthrough=(),
        own=(),
        recipe=None,
        settings=settings.load(cwd),
        cwd=cwd,
    )


def _length(request: Request, decided: Plan) -> int | None:
    agent = decided.task.task.agent(decided.library, decided.algorithm)
    return request.max_iterations or (agent.max_iterations if agent else None)


def _needs(wanted: Sweep, facts: Facts, asked: Sequence[Request]) -> packing.Needs:
    """Return what a trial takes: the largest one counts."""
    targets = [plan.resolve(one, facts)[1] for one in asked]
    counts = [one.num_envs or target.task.task.num_envs for one, target in zip(asked, targets, strict=True)]
    largest = None if None in counts else max(count for count in counts if count)
    host = registry.owner_now().host
    known = tunings.load(registry.folder(), tuning.key(asked[0], facts, targets[0], host))
    there = packing.room(facts.host, asked[0].device)
    return packing.needs(wanted, there, num_envs=largest, kitless=facts.installation.kitless, known=known)
