"""What the commands of sweeps have to do: read, plan every trial, run them or hand them over, tell what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import (
    engines,
    launch,
    prepare,
    registry,
    render,
    runs,
    settings,
    sweep_planning,
    sweep_plots,
    sweep_render,
    sweeps,
)
from spark_rl.engines import ray
from spark_rl.errors import RequestError
from spark_rl.launch import arrays, fields, submitting, sweeping
from spark_rl.records import Run
from spark_rl.sweep import packing, reading
from spark_rl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_rl.launch.sweeping import Swept
    from spark_rl.sweep import Sweep
    from spark_rl.sweep_planning import Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A sweep's file as it was read, and where it is used."""

    cwd: Path
    file: Path
    document: dict[str, Any]
    recipe: dict[str, Any]
    sweep: Sweep
    isaaclab: str | None = None

    def start(self, isaaclab: str | None) -> dict[str, Any]:
        """Return what the sweep's folder keeps of it."""
        return {
            "name": self.sweep.name,
            "file": str(self.file),
            "document": self.document,
            "recipe": self.recipe,
            "cwd": str(self.cwd),
            "isaaclab": isaaclab,
            "at": datetime.now().astimezone().timestamp(),
        }


def sweep(file: Path, given: Mapping[str, Any]) -> int:
    """Carry out ``spark-rl sweep`` and return its exit code."""
    desk = read(file, Path.cwd(), given["isaaclab"])
    looking = bool(given["results"] or given["stop"])
    folder = _folder(desk) if given["resume"] or looking else None
    desk = _as_started(desk, folder, looking=looking) if folder else desk
    given = {**given, "file": file, "engine": given["engine"] or _engine(folder)}
    _refuse(desk.sweep, given)
    known = sweeps.load_trials(folder) if folder else ()
    if folder and looking:
        return _tell(_looked(fields.Field(sweep=desk.sweep, folder=folder, cwd=desk.cwd, trials=known), given), given)
    facts = prepare.gather(prepare.Place(cwd=desk.cwd, isaaclab=desk.isaaclab))
    planned = sweep_planning.planned(desk.sweep, desk.cwd, facts, known, given)
    reading.refuse_grace(desk.sweep, planned.longest)
    there = packing.room(facts.host, planned.device)
    if given["dry_run"]:
        _show(desk, planned, there, folder, given)
        return 0
    _refuse_start(planned, there, given)
    contained = given["engine"] == "slurm" and settings.load(desk.cwd).text("slurm_container")
    isaaclab = desk.isaaclab if contained else facts.installation.path
    field = _field(desk, planned, folder, isaaclab)
    with sweeps.claimed(field.folder):
        return _tell(_carried_out(field, planned, there, given), given)


def _wanted(given: Mapping[str, Any], cwd: Path) -> submitting.Wanted:
    return submitting.Wanted(
        engine=given["engine"], settings=settings.load(cwd), time=given["time_limit"], partition=given["partition"]
    )


def _engine(folder: Path | None) -> str:
    """Return the engine of a sweep for which none is named: it goes on where it was."""
    before = sweeps.submitted(folder) if folder else None
    return before[0] if before else "ray"


def _looked(field: fields.Field, given: Mapping[str, Any]) -> Swept:
    """Return how far a sweep is, with the engine's word on its trials, after a stop where that is wanted."""
    if given["stop"]:
        arrays.stop(field, render.talk)
    _ask(field)
    return arrays.looked(field)


def _ask(field: fields.Field) -> None:
    """Have the ends of trials written down that only their engine saw."""
    known = (registry.entry(result.run) for result in fields.results(field) if result.run)
    for _ in runs.asked([run for run in known if isinstance(run, Run)]):
        pass


def _show(desk: Desk, planned: Planned, there: packing.Room, folder: Path | None, given: Mapping[str, Any]) -> None:
    """Print every trial's plan, and what would be handed to an engine that goes on without this process."""
    name, as_json = given["engine"], given["as_json"]
    if name == "ray":
        room = None if given["address"] else there
        sweep_render.planned(desk.sweep, planned.pairs, planned.needs, room, as_json=as_json)
        return
    folder = folder or desk.cwd / sweeps.HOME / f"{desk.sweep.name}_TIME"
    field = fields.Field(sweep=desk.sweep, folder=folder, cwd=desk.cwd, trials=planned.trials)
    told = arrays.submission(field, planned.needs, _wanted(given, desk.cwd))
    script = engines.load(name).render(told)
    sweep_render.submission(desk.sweep, planned.pairs, told, name, script, as_json=as_json)


def _refuse_start(planned: Planned, there: packing.Room, given: Mapping[str, Any]) -> None:
    """Tell once what the plans of the trials warn of, and stop where one of them cannot run.

    Raises:
        RequestError: No trial fits this machine, or Ray cannot give it its device.
        CheckError: A finding forbids the start, or no Ray is where one is said to be.
    """
    findings = tuple(dict.fromkeys(finding for _, decided in planned.pairs for finding in decided.findings))
    launch.settling.refuse(findings)
    for finding in findings:
        render.talk(f"{finding.level}: {finding.message}" + (f" ({finding.hint})" if finding.hint else ""))
    if given["engine"] == "ray":
        _refuse_device(planned.device)
        if given["address"] is None:
            packing.refuse(planned.needs, there)
        else:
            ray.reachable(given["address"])


def _carried_out(field: fields.Field, planned: Planned, there: packing.Room, given: Mapping[str, Any]) -> Swept:
    arrays.refuse_twice(field)
    _ask(field)
    if given["engine"] != "ray":
        return arrays.submit(field, planned.needs, _wanted(given, field.cwd))
    sweeps.forget_submitted(field.folder)
    at_once = None if given["address"] else there.at_once(planned.needs, field.sweep.parallel)
    view = sweep_render.viewer(field, at_once, every=given["progress_every"])
    return sweeping.conduct(field, planned.needs, there, longest=planned.longest, address=given["address"], view=view)


def read(file: Path, cwd: Path, isaaclab: str | None) -> Desk:
    """Read a sweep's file, and the recipe that it names.

    Raises:
        RequestError: One of the two cannot be read, or says what makes no sense.
    """
    document = settings.read_document(file)
    named = document.get("recipe", {})
    recipe = settings.load_recipe(file.parent / named) if isinstance(named, str) else named
    recipe = settings.recipe(recipe, f"[recipe] of {file}") if isinstance(recipe, dict) else {}
    found = reading.sweep(document, recipe, str(file))
    return Desk(cwd=cwd, file=file.absolute(), document=document, recipe=recipe, sweep=found, isaaclab=isaaclab)


def _refuse(asked: Sweep, given: Mapping[str, Any]) -> None:
    """Stop at what an engine cannot do.

    Raises:
        RequestError: It says what.
    """
    known = ("ray", "local", "slurm")
    if given["engine"] not in known:
        raise RequestError(f"there is no engine {given['engine']}", did_you_mean(given["engine"], known, "engines"))
    if given["png"] is not None:
        sweep_plots.drawable()
    if given["engine"] != "slurm" and (given["time_limit"] or given["partition"]):
        raise RequestError("--time and --partition are for jobs of Slurm", "add --engine slurm")
    if given["results"] or given["stop"]:
        return
    if given["engine"] == "ray":
        if not given["dry_run"]:
            ray.installed()
        return
    _refuse_array(asked, given)


def _refuse_array(asked: Sweep, given: Mapping[str, Any]) -> None:
    """Stop at what an engine cannot do that goes on without this process.

    Raises:
        RequestError: It says what.
    """
    if asked.time_s is not None:
        raise RequestError(f"--engine {given['engine']} keeps no budget of time", "leave out time in [budget]")
    for name, why in (("optuna", "each suggestion needs the results before it"), ("asha", "nobody watches it there")):
        if name in (asked.search, asked.scheduler):
            raise RequestError(
                f"--engine {given['engine']} cannot have {name}: {why}",
                f"take {name} out of the file, or leave out --engine: Ray runs the sweep",
            )
    if given["address"]:
        raise RequestError(
            f"--address names a Ray cluster, and --engine {given['engine']} uses none", "leave one of the two out"
        )


def _refuse_device(device: str | None) -> None:
    """Stop at a GPU by its number: Ray gives each trial its own, which is the only one that the trial sees.

    Raises:
        RequestError: The device is such a GPU.
    """
    if device and device.startswith("cuda:") and device != "cuda:0":
        raise RequestError(f"Ray gives each trial a GPU, and the device is {device}", "leave the device out")


def _folder(desk: Desk) -> Path:
    """Return the folder of the newest sweep of a file.

    Raises:
        RequestError: There is none.
    """
    name = desk.sweep.name
    folder = sweeps.newest(desk.cwd, name)
    if folder is None:
        raise RequestError(
            f"no sweep {name} was started in {desk.cwd}",
            "go to the folder in which it was, or start it: leave out --resume, --results and --stop",
        )
    return folder


def _as_started(desk: Desk, folder: Path, *, looking: bool) -> Desk:
    """Return the desk with what a sweep was started with, its Isaac Lab too.

    Who only looks at it or ends it may have changed the file.

    Raises:
        RequestError: The file says something else by now, and the sweep is to go on.
    """
    start = sweeps.load(folder)
    document, recipe = start["document"], start["recipe"]
    desk = replace(desk, isaaclab=desk.isaaclab or start.get("isaaclab"))
    if (document, recipe) == (desk.document, desk.recipe):
        return desk
    changed = f"{desk.file} has changed since {folder.name} was started"
    if not looking:
        raise RequestError(
            changed, "start a new sweep, or undo it; --results and --stop are for the one that was started"
        )
    render.talk(f"note: {changed}; this is the one that was started")
    return replace(desk, document=document, recipe=recipe, sweep=reading.sweep(document, recipe, str(desk.file)))


def _field(desk: Desk, planned: Planned, folder: Path | None, isaaclab: str | None) -> fields.Field:
    """Return the field of a sweep; that of a new one is written down, with the Isaac Lab of its trials."""
    if folder is None:
        now = datetime.now().astimezone()
        folder = sweeps.create(desk.cwd, desk.sweep.name, f"{now:%Y-%m-%d_%H-%M-%S}")
        sweeps.save(folder, desk.start(isaaclab))
        sweeps.save_trials(folder, planned.trials)
    return fields.Field(sweep=desk.sweep, folder=folder, cwd=desk.cwd, trials=planned.trials)


def _tell(swept: Swept, given: Mapping[str, Any]) -> int:
    sweep_render.swept(swept, given["file"], png=given["png"], as_json=given["as_json"])
    if swept.stopped_by is not None:
        return 128 + swept.stopped_by
    if swept.submitted is not None or given["stop"]:
        return 0
    if given["results"]:
        return 0 if swept.recipe or not swept.decided else 1
    return 0 if swept.recipe and (swept.decided or swept.out_of_time) else 1
