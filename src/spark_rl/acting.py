"""What ``train``, ``play`` and ``runs resume`` have in common: plan, start, tell what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.model import Request
    from spark_rl.plan import Facts
    from spark_rl.records import Run


def carry_out(request: Request, facts: Facts, run: Run | None, given: Mapping[str, Any]) -> None:
    """Plan a request, or what is left of a run, and carry it out or show it."""
    from spark_rl import documents, launch, prepare, render

    checking = prepare.Checking(wanted=given.get("check", True), here=given.get("host_file") is None, tell=render.talk)
    if run is None:
        what = launch.Start(plan=prepare.decide(request, facts, checking), request=request, facts=facts)
    else:
        what = launch.resumed(run, request, facts, request.max_iterations)
    what = launch.limited(
        what,
        stall=given.get("stall_timeout"),
        max_restarts=given.get("max_restarts", 0),
        detach=given.get("detach", False),
        reserve=given.get("memory_reserve"),
        nodes=given.get("node_timeout"),
    )
    prepare.remember(facts)
    as_json = given["as_json"]
    if given["dry_run"]:
        render.document(documents.plan(what.plan)) if as_json else render.plan(what.plan)
        return
    show = render.viewer(raw=given["raw"], every=given["progress_every"])
    ended = launch.start(what, show=show, tell=render.talk, announce=render.starting)
    if isinstance(ended, launch.Outcome):
        render.document(documents.outcome(ended)) if as_json else render.outcome(ended)
        raise typer.Exit(launch.exit_code(ended))
    render.detached(ended, as_json=as_json)


def tune(request: Request, facts: Facts, given: Mapping[str, Any]) -> None:
    """Measure which env count fits this machine, and show it."""
    from spark_rl import plan, prepare, render, tuning
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
    render.climb(found, png=given["png"], as_json=given["as_json"])
    if found.stopped_by is not None:
        raise typer.Exit(128 + found.stopped_by)
