"""What ``train``, ``play`` and ``runs resume`` have in common: plan, start, tell what came of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.launch import Start
    from spark_rl.launch.submitting import Wanted
    from spark_rl.model import Request
    from spark_rl.plan import Facts
    from spark_rl.records import Run


def carry_out(request: Request, facts: Facts, run: Run | None, given: Mapping[str, Any]) -> None:
    """Plan a request, or what is left of a run, and carry it out here, hand it to an engine, or show it."""
    from spark_rl import commands, documents, launch, prepare, render, runs_render

    adopt, job = given.get("adopt", False), None
    if adopt:
        from spark_rl import runs
        from spark_rl.launch import submitting

        job, run = submitting.taken_up(os.environ)
        request = runs.counted(request, run) if run is not None else request
    elif given.get("engine") or (run is not None and run.job is not None):
        wanted = _wanted(request, facts, run, given)
        if wanted is not None:
            _hand_over(request, facts, run, given, wanted)
            return
    request = prepare.sized(request, facts, here=given.get("host_file") is None)
    if not adopt and (given.get("time_limit") or given.get("partition")):
        raise RequestError("--time and --partition are for a job, and this runs here", "add --engine slurm")
    what = replace(_started(request, facts, run, given), job=job)
    what = replace(what, plan=commands.with_options(what.plan, _options(given)))
    prepare.remember(facts)
    as_json = given["as_json"]
    if given["dry_run"]:
        render.document(documents.plan(what.plan)) if as_json else render.plan(what.plan)
        return
    if given.get("host_file") is not None:
        render.talk(
            f"warning: this runs here, by the plan for the machine of {given['host_file']}: --dry-run only shows it"
        )
    show = render.viewer(raw=given["raw"], every=given["progress_every"])
    ended = launch.start(what, show=show, tell=render.talk, announce=render.starting)
    if isinstance(ended, launch.Outcome):
        render.document(documents.outcome(ended)) if as_json else render.outcome(ended)
        raise typer.Exit(launch.exit_code(ended))
    runs_render.detached(ended, as_json=as_json)


def _started(request: Request, facts: Facts, run: Run | None, given: Mapping[str, Any]) -> Start:
    """Return the start of a request, or of what is left of a run; one without an attempt has all of it left."""
    from spark_rl import launch, prepare, render

    checking = prepare.Checking(wanted=given.get("check", True), here=given.get("host_file") is None, tell=render.talk)
    if run is None or not run.attempts:
        decided = prepare.decide(request, facts, checking)
        what = launch.Start(plan=decided, request=request, facts=facts, continues=run)
    else:
        what = launch.resumed(run, request, facts, request.max_iterations)
    return launch.limited(
        what,
        stall=given.get("stall_timeout"),
        max_restarts=given.get("max_restarts", 0),
        detach=given.get("detach", False),
        reserve=given.get("memory_reserve"),
        nodes=given.get("node_timeout"),
    )


def _wanted(request: Request, facts: Facts, run: Run | None, given: Mapping[str, Any]) -> Wanted | None:
    """Return how a training is handed over, None where it is to run here; a run goes on where it was."""
    from spark_rl import settings
    from spark_rl.launch import submitting

    before = run.job.engine if run is not None and run.job is not None else submitting.LOCAL
    engine = submitting.engine(given.get("engine") or before)
    if engine == submitting.LOCAL:
        return None
    named = facts.installation.path if facts.chosen == "named by --isaaclab" else None
    told = [name for name in ("node_rank", "master_addr", "master_port") if given.get(name) is not None]
    if told:
        option = f"--{told[0].replace('_', '-')}"
        raise RequestError(f"{option} is for the engine to say: it knows its nodes", f"leave {option} out")
    return submitting.Wanted(
        engine=engine,
        settings=settings.load(Path(request.cwd)),
        time=given.get("time_limit"),
        partition=given.get("partition"),
        nodes=request.nnodes,
        more=(*(("--isaaclab", named) if named else ()), *_options(given)),
    )


def _options(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that no request holds and every start of a training must have, wherever it is."""
    names = ("stall_timeout", "memory_reserve", "node_timeout", "max_restarts")
    pairs = ((f"--{name.replace('_', '-')}", given.get(name)) for name in names)
    more = [word for name, value in pairs if value for word in (name, str(value))]
    return (*more, *(() if given.get("check", True) else ("--no-check",)))


HEAD = "head"
"""Stands for the host where nodes meet: a name, of which nothing is known where a job is submitted."""


def _hand_over(request: Request, facts: Facts, run: Run | None, given: Mapping[str, Any], wanted: Wanted) -> None:
    """Plan a training for the machines of an engine, and submit it or show what would be submitted."""
    from spark_rl import documents, engines, prepare, render, runs_render
    from spark_rl.launch import submitting

    facts = submitting.supposed(facts, request)
    submitting.refuse_auto(request)
    # The pre-flight is for the node, and done there; where nodes meet is known there alone.
    what = _started(submitting.planned(request, nnodes=1), facts, run, given)
    request = submitting.fitted(request, wanted, what.plan.library)
    head = HEAD if request.nnodes > 1 else None
    what = _started(submitting.planned(request, master_addr=head), facts, run, given)
    what = replace(what, request=request, plan=replace(what.plan, nodes=()))
    prepare.remember(facts)
    told = submitting.submission(request, wanted)
    if given["dry_run"]:
        script = engines.load(wanted.engine).render(told)
        document = documents.submission(what.plan, wanted.engine, script)
        render.document(document) if given["as_json"] else render.script(what.plan, script)
        return
    runs_render.submitted(submitting.submit(what, told, wanted.engine), as_json=given["as_json"])


def tune(request: Request, facts: Facts, given: Mapping[str, Any]) -> None:
    """Measure which env count fits this machine, and show it."""
    from spark_rl import plan, prepare, render, runs_render, tuning
    from spark_rl.launch import climbing

    prepare.remember(facts)
    wanted = climbing.Wanted(
        request=request,
        facts=facts,
        target=plan.resolve(request, facts)[1],
        counts=tuning.counts(given["counts"]) if given["counts"] else (),
        most=given["max_envs"],
        reserve=given["memory_reserve"],
    )
    checking = prepare.Checking(wanted=given["check"], tell=render.talk)
    found = climbing.climb(wanted, plan=lambda one, known: prepare.decide(one, known, checking), tell=render.talk)
    runs_render.climb(found, png=given["png"], as_json=given["as_json"])
    if found.stopped_by is not None:
        raise typer.Exit(128 + found.stopped_by)
