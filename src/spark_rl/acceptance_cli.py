"""``spark-rl smoke --plan-only``: the plans of a whole catalogue, and what Isaac Lab makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.acceptance import Cell
    from spark_rl.model import Request


def plan_only(
    given: Mapping[str, Any], *, rest: Sequence[str] = (), passthrough: Sequence[str] = (), own: Sequence[str] = ()
) -> None:
    """Plan every task of an installation, have Isaac Lab parse the plans, and show the report; exit 1 if it failed.

    Args:
        given: ``only``, ``exclude``, ``isaaclab``, ``host_file`` and ``as_json``, as the command has them.
        rest: Words for every request: overrides, and options of Isaac Lab's scripts.
        passthrough: The words after ``--``, for every request, too.
        own: The options of the command, for suggestions.
    """
    from spark_rl import acceptance, acceptance_matrix, prepare, render, requests, settings

    cwd = Path.cwd()
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
    render.acceptance(report, as_json=given["as_json"])
    raise typer.Exit(0 if report.passed else 1)
