"""The use case that acts: settle, check, record, run, judge and record a plan."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from spark_rl import first_process, memory, registry, supervisor, times
from spark_rl.errors import CheckError, RequestError, SparkError
from spark_rl.launch import continuing, nodes, recording
from spark_rl.launch.attempts import Ended, attempt
from spark_rl.launch.settling import keep_assets, refuse, settle, stamp
from spark_rl.launch.watching import STALL_S, Limits
from spark_rl.outcome import Outcome
from spark_rl.records import RESTARTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.launch.watching import View
    from spark_rl.model import Plan, Request
    from spark_rl.plan import Facts
    from spark_rl.records import Job, Run
    from spark_rl.supervisor import Heard

__all__ = ["Limits", "Outcome", "Start", "exit_code", "limited", "resumed", "settle", "start"]

BACK_OFF_S = 5.0
"""Time before the first restart; each further one waits twice as long, up to :data:`LONGEST_BACK_OFF_S`."""

LONGEST_BACK_OFF_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is to be started, and how.

    ``continues`` is the run that another attempt is for, None for a new one; ``total`` are the iterations that the
    whole run is to have, and ``done`` those after which the ``checkpoint`` goes on; ``request`` is for all of it.
    ``measures`` says that it is no training for its own sake. ``job`` is the job that this process runs in and whose
    record it keeps, None outside.
    """

    plan: Plan
    request: Request
    facts: Facts
    limits: Limits = field(default_factory=Limits)
    max_restarts: int = 0
    detach: bool = False
    continues: Run | None = None
    total: int | None = None
    done: int = 0
    checkpoint: str | None = None
    measures: bool = False
    job: Job | None = None


def limited(
    what: Start,
    *,
    stall: str | None,
    max_restarts: int,
    detach: bool,
    reserve: str | None = None,
    nodes: str | None = None,
) -> Start:
    """Return a start with its limits; whoever wants restarts wants a stall noticed.

    Raises:
        RequestError: ``stall`` or ``nodes`` is no time, ``reserve`` no amount of memory, nothing can go on without
            this process, or several hosts would have to start again together.
    """
    if detach and first_process.is_first():
        raise RequestError(
            "a container ends with its first process, and the run with it",
            "leave out --detach here, and start the container itself with: docker run --detach",
        )
    seconds = times.seconds(stall, "--stall-timeout") if stall else STALL_S if max_restarts else None
    if seconds is not None and seconds <= 0:
        raise RequestError("--stall-timeout must be more than nothing", "leave it out to wait for ever")
    limits = Limits(stall=seconds, reserve_mib=memory.reserve(what.facts.host, reserve))
    if max_restarts and what.request.nnodes > 1:
        raise RequestError(
            "--max-restarts works on one host: on several, all have to begin again together",
            "leave it out, and go on with --checkpoint PATH on every node",
        )
    if nodes is not None:
        limits = replace(limits, nodes=times.seconds(nodes, "--node-timeout"))
    return replace(what, limits=limits, max_restarts=max_restarts, detach=detach)


def start(
    what: Start,
    *,
    show: Callable[[Run], View],
    tell: Callable[[str], None],
    announce: Callable[[Plan], None] = lambda _plan: None,
) -> Outcome | Run:
    """Settle, check, record, run, judge and record; a detached run is returned as soon as it has begun.

    Args:
        what: The plan, the request it was made for, the facts it was made with, and the limits.
        show: Makes the view of the run.
        tell: Takes one line for the user.
        announce: Takes the settled plan before it runs.

    Raises:
        RequestError: There is no checkpoint to play.
        CheckError: A finding forbids the start, or the child cannot be started.
    """
    nodes.check(what)
    refuse(what.plan.findings)
    what = replace(what, plan=nodes.settled(settle(what.plan, what.request, what.facts), what.facts.host))
    announce(what.plan)
    for finding in what.plan.findings:
        tell(f"{finding.level}: {finding.message}" + (f" ({finding.hint})" if finding.hint else ""))
    with supervisor.listening() as heard:
        run = recording.begun(what)
        try:
            if not what.detach:
                return _conduct(what, run, show, heard)
            if not _detached(run):
                return registry.load(run.id)
            ended = _conduct(what, recording.adopt(run), show, heard)
        finally:
            registry.release(run.id)
        os._exit(exit_code(ended))


def _detached(run: Run) -> bool:
    try:
        return supervisor.detach(lambda: recording.adopt(run))
    except OSError as error:
        raise CheckError(
            f"run {run.id} cannot go on without this terminal: {error.strerror}", "leave out --detach"
        ) from error


def _conduct(what: Start, run: Run, show: Callable[[Run], View], heard: Heard) -> Outcome:
    """Run attempts until one succeeds, or may not be repeated."""
    view = show(run)
    try:
        ended = Ended.before_the_first(run)
        for restarts in itertools.count():
            if restarts:
                pause = min(BACK_OFF_S * 2 ** (restarts - 1), LONGEST_BACK_OFF_S)
                view.say(f"{ended.verdict.message}: restart {restarts} of {what.max_restarts} in {pause:.0f} s")
                run = recording.between(run)
                stopped_by = heard() or supervisor.pause(pause)
                if stopped_by is not None:
                    return recording.finish(what, ended.stopped(stopped_by))
                try:
                    what = _next(what, run, view.say)
                except SparkError as error:
                    return recording.finish(what, ended.given_up(error))
            stopped_by = heard()
            if stopped_by is not None:
                return recording.finish(what, ended.stopped(stopped_by))
            what, ended = _attempted(what, run, view, heard)
            run = ended.run
            if not _may_go_on(what, ended, restarts):
                break
        return recording.finish(what, ended)
    finally:
        view.close()


def _attempted(what: Start, run: Run, view: View, heard: Heard) -> tuple[Start, Ended]:
    """Run one attempt, on several hosts together with the others; return it with the start that it was."""
    try:
        with nodes.meeting(what, _folder_name(run), view.say, lambda: heard() is not None) as post:
            if post is not None and post.stamp is None:
                return what, Ended.before_the_first(run).stopped(heard() or 0)
            name = post.stamp if post and post.stamp else _folder_name(run)
            what = replace(what, plan=stamp(what.plan, name))
            return what, attempt(what, run, view, post)
    except CheckError as error:
        recording.fail(run.id, error)
        raise


def _folder_name(run: Run) -> str:
    """Return a run folder's name: local time, as Isaac Lab has it, and what tells two starts of one second apart."""
    again = f"-{len(run.attempts) + 1}" if run.attempts else ""
    return f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}_run{run.id}{again}"


def _may_go_on(what: Start, ended: Ended, restarts: int) -> bool:
    return (
        what.plan.action == "train"
        and restarts < what.max_restarts
        and ended.verdict.state == "failed"
        and ended.verdict.failure in RESTARTED
    )


def _next(what: Start, run: Run, tell: Callable[[str], None]) -> Start:
    """Return the start of the next attempt, with the assets of the one before, and tell what it cannot carry over."""
    again = resumed(run, what.request, what.facts, what.total)
    for finding in again.plan.findings:
        if finding not in what.plan.findings:
            tell(f"{finding.level}: {finding.message}")
    decided = keep_assets(again.plan, what.plan)
    return replace(what, plan=decided, total=again.total, done=again.done, checkpoint=again.checkpoint)


def resumed(run: Run, request: Request, facts: Facts, total: int | None = None) -> Start:
    """Return what goes on with a run from its newest whole checkpoint, for the iterations that are left of ``total``.

    ``total`` is by default what the run was to have.

    Raises:
        RequestError: Nothing is left to do, or the request has become wrong.
    """
    at = continuing.find(run)
    total = total or run.progress.max_iterations
    onward = continuing.onward(request, at, total, run)
    return Start(
        plan=continuing.planned(onward, facts, at, run),
        request=request,
        facts=facts,
        continues=run,
        total=total,
        done=at.done,
        checkpoint=at.checkpoint.path if at.checkpoint else None,
    )


def exit_code(outcome: Outcome) -> int:
    """Return the exit code of spark-rl itself: 0, 1, or 128 and the signal that stopped it."""
    if outcome.state == "interrupted" and outcome.stopped_by is not None:
        return 128 + outcome.stopped_by
    return 0 if outcome.state == "succeeded" else 1
