"""``spark-rl smoke --plan-only``: the plans of a whole catalogue, and what Isaac Lab makes of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spark_rl.errors import RequestError
from spark_rl.proofs import Report, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl import acceptance
    from spark_rl.acceptance import Cell, State
    from spark_rl.model import Request
    from spark_rl.plan import Facts
    from spark_rl.proofs import Status

_WIDTH = 200
_VARIED = frozenset(("__task", "__checkpoint", "__agent", "__rl_library", "__library", "__algorithm"))
"""Options that each cell has for itself, dashes as underscores."""


def plan_only(
    given: Mapping[str, Any], *, rest: Sequence[str] = (), passthrough: Sequence[str] = (), own: Sequence[str] = ()
) -> None:
    """Plan every task of an installation, have Isaac Lab parse the plans, and show the report; exit 1 if it failed.

    Args:
        given: ``only``, ``exclude``, ``isaaclab``, ``host_file``, ``junit`` and ``as_json``, as the command has them.
        rest: Words for every request: overrides, and options of Isaac Lab's scripts.
        passthrough: The words after ``--``, for every request, too.
        own: The options of the command, for suggestions.
    """
    from spark_rl import (
        acceptance,
        acceptance_matrix,
        acceptance_tables,
        junit,
        matrices,
        prepare,
        render,
        requests,
        settings,
    )
    from spark_rl.tables import Screen

    varied = [word for word in (*rest, *passthrough) if word.partition("=")[0].replace("-", "_") in _VARIED]
    if varied:
        raise RequestError(f"{varied[0]} is what the matrix varies", "choose cells with --only")
    cwd, began = Path.cwd(), time.time()
    known = settings.load(cwd)

    def request(cell: Cell) -> Request:
        flags: dict[str, Any] = {"task": cell.task, "library": cell.library, "algorithm": cell.algorithm}
        words = rest
        if cell.agent is not None:
            flags["algorithm"], words = None, ("--agent", cell.agent, *rest)
        if cell.action == "play":
            flags["checkpoint"] = acceptance_matrix.CHECKPOINT
        build = requests.build
        return build(
            cell.action, flags, rest=words, passthrough=passthrough, own=own, recipe=None, settings=known, cwd=cwd
        )

    facts = prepare.gather(prepare.Place(cwd=cwd, isaaclab=given["isaaclab"], host_file=given["host_file"]))
    cells = acceptance.cells(facts.catalog.tasks, given["only"] or (), given["exclude"] or ())
    report = acceptance_matrix.examine(cells, facts, request, render.talk)
    prepare.remember(facts)
    page = acceptance_tables.page(report, Screen(width=_WIDTH))
    if given["junit"]:
        matrices.write(given["junit"], junit.render(_as_proof(report, facts, began), page))
    matrices.append_summary(f"```\n{page}\n```\n")
    render.acceptance(report, as_json=given["as_json"])
    raise typer.Exit(0 if report.passed else 1)


_STATUS: Mapping[State, Status] = {
    "accepted": "passed",
    "planned": "passed",
    "refused": "skipped",
    "rejected": "failed",
}


def _as_proof(report: acceptance.Report, facts: Facts, began: float) -> Report:
    """Return the report as one of runs, for JUnit."""
    from spark_rl import __version__, matrix, registry

    results = tuple(
        Result(
            cell=matrix.Cell(name=one.cell.name, task=one.cell.task, train=0),
            status=_STATUS[one.state],
            message=one.reason or one.state,
            kind=None if one.state != "rejected" else "request",
            hint=one.hint,
        )
        for one in report.verdicts
    )
    return Report(
        matrix="every task, planned",
        spark_rl=__version__,
        isaaclab=facts.installation,
        host=facts.host,
        hostname=registry.owner_now().host,
        started_at=began,
        seconds=report.seconds,
        results=results,
    )
