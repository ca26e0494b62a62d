"""What ``spark-rl smoke`` does: choose cells, prove them, tell and write what they came to."""

from __future__ import annotations

import functools
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spark_rl import (
    __version__,
    junit,
    launch,
    markdown,
    matrices,
    matrix,
    network,
    prepare,
    registry,
    regressions,
    render,
    requests,
    settings,
    smoke,
    smoke_tables,
    smoke_view,
)
from spark_rl.errors import RequestError
from spark_rl.proofs import Report
from spark_rl.tables import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.matrix import Cell
    from spark_rl.plan import Facts
    from spark_rl.proofs import Result
    from spark_rl.regressions import Regressions

_WIDE = Screen(width=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a matrix is proven with: where the command was given, the facts, and what was asked for."""

    cwd: Path
    facts: Facts
    file: str
    given: Mapping[str, Any]
    started_at: float

    def report(self, results: tuple[Result, ...], stopped_by: int | None = None) -> Report:
        """Return the report of what there is so far."""
        return Report(
            matrix=self.file,
            spark_rl=__version__,
            isaaclab=self.facts.installation,
            host=self.facts.host,
            hostname=registry.owner_now().host,
            started_at=self.started_at,
            seconds=time.time() - self.started_at,
            results=results,
            stopped_by=stopped_by,
        )

    def write_junit(self, results: tuple[Result, ...], stopped_by: int | None = None) -> None:
        """Write the JUnit file, where one is wanted."""
        if self.given["junit"]:
            report = self.report(results, stopped_by)
            matrices.write(self.given["junit"], junit.render(report, smoke_tables.report(report, _WIDE)))


def smoke_test(given: Mapping[str, Any], cwd: Path) -> None:
    """Prove an installation, and end with 0 when it is proven.

    Raises:
        RequestError: The matrix, a pattern or the baseline is wrong.
        CheckError: A report cannot be written.
    """
    file, cells = matrices.load(given["matrix"] or matrices.DEFAULT)
    names = {option: tuple(given[option] or ()) for option in ("only", "exclude", "require")}
    cells = matrix.choose(cells, **names)
    baseline = matrices.load_report(given["baseline"]) if given["baseline"] else None
    facts = prepare.gather(prepare.Place(cwd=cwd, isaaclab=given["isaaclab"]))
    scene = Scene(cwd=cwd, facts=facts, file=file, given=given, started_at=time.time())
    folder = _folder(given["folder"], cwd)
    wanted = smoke.Wanted(
        cells=cells,
        facts=facts,
        room=_room(facts, given["jobs"]),
        folder=folder,
        required=frozenset(cell.name for cell in cells if matrix.matches(cell.name, names["require"])),
        fail_fast=given["fail_fast"],
    )
    results, stopped_by = _proven(wanted, scene)
    if given["folder"] is None:
        results = smoke.cleared(results)
        with suppress(OSError):
            folder.rmdir()
    report = scene.report(results, stopped_by)
    changes = regressions.compare(baseline, report, _percent(given)) if baseline else None
    _tell(report, changes, scene)
    if stopped_by is not None:
        raise typer.Exit(128 + stopped_by)
    slow = changes is not None and given["max_slowdown"] is not None and bool(changes.slower)
    raise typer.Exit(0 if report.passed and not slow else 1)


def _percent(given: Mapping[str, Any]) -> float:
    asked = given["max_slowdown"]
    return regressions.NOTABLE if asked is None else float(asked)


def _folder(named: Path | None, cwd: Path) -> Path:
    """Return the folder for all that the cells leave: a new one, or one that was named and is empty.

    Raises:
        RequestError: There is something in it.
    """
    if named is None:
        return Path(tempfile.mkdtemp(prefix="spark-rl-smoke-"))
    folder = cwd / named.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"--folder {named} is not an empty folder", "name a new one, or remove it first")
    return folder


def _room(facts: Facts, jobs: int | None) -> smoke.Room:
    return smoke.Room(
        host=facts.host,
        jobs=jobs or smoke.usual_jobs(facts.host),
        isaacsim=not facts.installation.kitless,
    )


def _proven(wanted: smoke.Wanted, scene: Scene) -> tuple[tuple[Result, ...], int | None]:
    values, answers = settings.load(scene.cwd), functools.cache(network.answers)
    view = smoke_view.viewer(len(wanted.cells))

    def ready(cell: Cell) -> smoke.Ready:
        flags = {name: getattr(cell, name) for name in ("task", "library", "algorithm", "num_envs", "seed", "device")}
        flags |= {"max_iterations": cell.train, "headless": True, "assets": scene.given["assets"]}
        if cell.kill:
            flags["save_every"] = str(max(1, cell.kill // 2))
        if scene.given["device"]:
            flags["device"] = scene.given["device"]
        request = requests.build(
            "train", flags, rest=cell.overrides, passthrough=(), own=(), recipe=None, settings=values, cwd=scene.cwd
        )
        plan = prepare.decide(request, wanted.facts)
        return smoke.Ready(request=request, plan=launch.settle(plan, request, wanted.facts, answers=answers))

    try:
        return smoke.prove(wanted, ready=ready, view=view, keep=scene.write_junit)
    finally:
        view.close()


def _tell(report: Report, changes: Regressions | None, scene: Scene) -> None:
    """Write and print the report."""
    scene.write_junit(report.results, report.stopped_by)
    matrices.append_summary(markdown.render(report, changes))
    if scene.given["as_json"]:
        document = report.to_document()
        render.document(document | {"baseline": changes.to_document()} if changes else document)
        return
    from spark_rl import tables

    for result in report.results:
        if result.status == "failed" and result.folder:
            render.talk(f"note: what {result.cell.name} left is in {result.folder}")
    render.out(smoke_tables.report(report, tables.screen(), changes))
