"""What ``spark-rl smoke`` does: choose cells, prove them, tell and write what they came to."""

from __future__ import annotations

import functools
import math
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import typer

from spark_rl import (
    __version__,
    acceptance_cli,
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
    tables,
)
from spark_rl.errors import CheckError, RequestError
from spark_rl.proofs import Report
from spark_rl.tables import Screen
from spark_rl.words import split_overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_rl.matrix import Cell
    from spark_rl.model import Request, Settings
    from spark_rl.plan import Facts
    from spark_rl.proofs import Result
    from spark_rl.regressions import Regressions

_WIDE = Screen(width=200)
_OF_CELL = ("task", "library", "algorithm", "num_envs", "seed", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a matrix is proven with: where the command was given, what was asked for, the cells and the facts."""

    cwd: Path
    given: Mapping[str, Any]
    file: str
    cells: tuple[Cell, ...]
    baseline: Mapping[str, Any] | None
    facts: Facts
    started_at: float

    @classmethod
    def set(cls, given: Mapping[str, Any], cwd: Path) -> Self:
        """Read what is needed; nothing is started yet.

        Raises:
            RequestError: The matrix, a pattern or the baseline is wrong, or there is no Isaac Lab.
        """
        slowdown = given["max_slowdown"]
        if slowdown is not None and not (given["baseline"] and math.isfinite(slowdown)):
            raise RequestError("--max-slowdown is a percentage against a baseline", "add --baseline FILE")
        file, cells = matrices.load(given["matrix"] or matrices.DEFAULT)
        return cls(
            cwd=cwd,
            given=given,
            file=file,
            cells=matrix.choose(cells, **{name: given[name] or () for name in ("only", "exclude", "require")}),
            baseline=matrices.load_report(given["baseline"]) if given["baseline"] else None,
            facts=prepare.gather(prepare.Place(cwd=cwd, isaaclab=given["isaaclab"])),
            started_at=time.time(),
        )

    def wanted(self, folder: Path) -> smoke.Wanted:
        """Return what is to be proven, in a folder for all that the cells leave."""
        host, required = self.facts.host, self.given["require"] or ()
        jobs = self.given["jobs"] or smoke.usual_jobs(host)
        return smoke.Wanted(
            cells=self.cells,
            facts=self.facts,
            room=smoke.Room(host=host, jobs=jobs, isaacsim=not self.facts.installation.kitless),
            folder=folder,
            required=frozenset(cell.name for cell in self.cells if matrix.matches(cell.name, required)),
            fail_fast=self.given["fail_fast"],
        )

    def planner(self) -> Callable[[Cell], smoke.Ready]:
        """Return what plans a cell as ``train`` would; NVIDIA's asset host is asked once for all of them."""
        values, answers = settings.load(self.cwd), functools.cache(network.answers)

        def ready(cell: Cell) -> smoke.Ready:
            request = self._request(cell, values)
            plan = launch.settle(prepare.decide(request, self.facts), request, self.facts, answers=answers)
            return smoke.Ready(request=request, plan=plan)

        return ready

    def _request(self, cell: Cell, values: Settings) -> Request:
        flags = {name: getattr(cell, name) for name in _OF_CELL}
        flags |= {"max_iterations": cell.train, "headless": True, "assets": self.given["assets"]}
        flags["device"] = self.given["device"] or cell.device
        flags["save_every"] = str(max(1, cell.kill // 2)) if cell.kill else None
        return requests.build(
            "train", flags, rest=cell.overrides, passthrough=(), own=(), recipe=None, settings=values, cwd=self.cwd
        )

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

    def write_junit(self, report: Report) -> None:
        """Write the JUnit file, where one is wanted."""
        if self.given["junit"]:
            matrices.write(self.given["junit"], junit.render(report, smoke_tables.report(report, _WIDE)))

    def changes(self, report: Report) -> Regressions | None:
        """Return what changed since the baseline, None where there is none."""
        asked = self.given["max_slowdown"]
        percent = regressions.NOTABLE if asked is None else float(asked)
        return regressions.compare(self.baseline, report, percent) if self.baseline else None


_OF_RUNS = ("matrix", "require", "jobs", "fail_fast", "baseline", "max_slowdown", "folder", "device", "assets")
"""Options that say how cells run, which no plan needs."""


def act(
    given: Mapping[str, Any], cwd: Path, *, rest: Sequence[str], passthrough: Sequence[str], own: Sequence[str]
) -> None:
    """Prove an installation by runs, or by plans alone.

    Args:
        given: The options of the command.
        cwd: The working directory.
        rest: The words that the command has no option for.
        passthrough: The words after ``--``.
        own: The options of the command, for suggestions.

    Raises:
        RequestError: An option or a word has no meaning with ``--plan-only``, or without it.
    """
    split_overrides(rest, own)
    if given["plan_only"]:
        beside = [name for name in _OF_RUNS if given[name] or (given[name] is not None and given[name] is not False)]
        if beside:
            option = beside[0].replace("_", "-")
            raise RequestError(f"--{option} has no meaning with --plan-only: nothing is run", f"leave --{option} out")
        acceptance_cli.plan_only(given, rest=rest, passthrough=passthrough, own=own)
    if rest or passthrough or given["host_file"]:
        word = "--host" if given["host_file"] else (*rest, *passthrough)[0]
        raise RequestError(
            f"{word} reaches plans alone (--plan-only)", "a matrix file says what its cells run: --matrix FILE"
        )
    smoke_test(given, cwd)


def smoke_test(given: Mapping[str, Any], cwd: Path) -> None:
    """Prove an installation, and end with 0 when it is proven.

    Raises:
        RequestError: The matrix, a pattern or the baseline is wrong, or the folder is not empty.
        CheckError: A report cannot be written.
    """
    scene = Scene.set(given, cwd)
    report = _proven(scene, _folder(given["folder"], cwd))
    changes = scene.changes(report)
    unwritten = _unwritten(scene, report)
    matrices.append_summary(markdown.render(report, changes))
    _tell(report, changes, as_json=given["as_json"])
    if report.stopped_by is not None:
        raise typer.Exit(128 + report.stopped_by)
    slow = changes is not None and given["max_slowdown"] is not None and bool(changes.slower)
    if slow:
        render.talk("error: cells are slower than --max-slowdown allows")
    if unwritten is not None:
        render.talk(f"error: {unwritten.message}")
    raise typer.Exit(0 if report.passed and not slow and unwritten is None else 1)


def _unwritten(scene: Scene, report: Report) -> CheckError | None:
    """Write the JUnit file, and return why that was not possible: what has run is told all the same."""
    try:
        scene.write_junit(report)
    except CheckError as error:
        return error
    return None


def _keep(scene: Scene, results: tuple[Result, ...]) -> None:
    """Write the JUnit file; it ends the matrix only where nothing has run yet."""
    unwritten = _unwritten(scene, scene.report(results))
    if unwritten is not None and all(result.status == "not-run" for result in results):
        raise unwritten


def _folder(named: Path | None, cwd: Path) -> Path:
    """Return the folder for all that the cells leave: a new one, or one that was named and is empty.

    Raises:
        RequestError: There is something in it, or it cannot be made.
    """
    if named is None:
        return Path(tempfile.mkdtemp(prefix="spark-rl-smoke-"))
    try:
        folder = cwd / named.expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RequestError(f"--folder {named} is not an empty folder", "name a new one, or remove it first")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: ~ of somebody who is not there
        why = getattr(error, "strerror", error)
        raise RequestError(f"--folder {named} cannot be made: {why}", "name another folder") from error
    return folder


def _proven(scene: Scene, folder: Path) -> Report:
    """Run the cells; of what they leave, the failures stay, or all of it in a folder that was named."""
    view = smoke_view.viewer(len(scene.cells))
    own = scene.given["folder"] is None
    try:
        results, stopped_by = smoke.prove(
            scene.wanted(folder),
            ready=scene.planner(),
            view=view,
            keep=functools.partial(_keep, scene),
        )
        return scene.report(smoke.cleared(results) if own else results, stopped_by)
    finally:
        view.close()
        if own:
            with suppress(OSError):  # a failure is left in it
                folder.rmdir()


def _tell(report: Report, changes: Regressions | None, *, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        document = report.to_document()
        render.document(document | {"baseline": changes.to_document()} if changes else document)
        return
    for result in report.results:
        if result.status == "failed" and result.folder:
            render.talk(f"note: what {result.cell.name} left is in {result.folder}")
    render.out(smoke_tables.report(report, tables.screen(), changes))
