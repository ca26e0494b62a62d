"""Use cases that only look: from flags and files to a plan, a list of tasks, a picture of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import (
    assets,
    catalogues,
    checks,
    counting,
    external,
    host,
    installations,
    names,
    preload,
    projects,
    registry,
    settings,
    supplies,
)
from spark_rl.errors import RequestError
from spark_rl.plan import Context, Facts, Target, plan, resolve
from spark_rl.plan.policy import REMOTE, choose, run_folder, wanted

if TYPE_CHECKING:
    from spark_rl.catalog import Catalog
    from spark_rl.curves import Curve
    from spark_rl.description import Description
    from spark_rl.external import Project
    from spark_rl.model import CheckpointFile, Finding, Installation, Plan, Request
    from spark_rl.records import Run

DRIVER = str(Path(__file__).parent / "drivers" / "play.py")
NEWEST = "3.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command was given: the working directory and what its flags say about machine and installation."""

    cwd: Path
    isaaclab: str | None = None
    host_file: Path | None = None


def gather(place: Place) -> Facts:
    """Read every fact that planning needs: settings, host, installation, catalogue.

    Raises:
        RequestError: No Isaac Lab is there, or what was named is none.
    """
    if place.host_file is None:
        installation, chosen = _installation(place)
        machine = replace(host.probe(), folders=host.folders(_run_folder(place.cwd, installation)))
        installation = installations.with_runtime(installation, os.environ)
    else:
        machine, listed = host.load(place.host_file)
        installation, chosen = _installation_there(place, listed)
    found = _projects(place)
    installation = projects.beside(installation, found)
    return Facts(
        installation=installation,
        chosen=chosen,
        host=machine,
        catalog=catalogues.load(installation, settings.cache_folder()),
        renames=catalogues.renames(),
        driver=DRIVER,
        wrapper=str(preload.wrapper_path(settings.cache_folder())),
        embedded=assets.root(),
        active=installations.active_environments(os.environ),
        projects=found,
        here=place.host_file is None,
    )


def _run_folder(cwd: Path, installation: Installation) -> Path:
    return Path(installation.path) if installation.generation < 3 else cwd


def remember(facts: Facts) -> None:
    """Keep what a scan found for the next command; called once a request has turned out right."""
    catalogues.remember(facts.catalog, facts.installation, settings.cache_folder())


def _installation(place: Place) -> tuple[Installation, str]:
    if place.isaaclab is not None:
        return installations.inspect(Path(place.isaaclab)), "named by --isaaclab"
    return installations.select(settings.load(place.cwd), place.cwd)


def _installation_there(place: Place, listed: tuple[Installation, ...]) -> tuple[Installation, str]:
    """Return the installation on the machine that a host document describes; what lies here as well is read here."""
    setting = settings.load(place.cwd).get("isaaclab")
    path, source = (setting.value, setting.source) if place.isaaclab is None else (place.isaaclab, "--isaaclab")
    there = next((entry for entry in listed if path in (None, entry.path)), None)
    if path is None and there is not None:
        return there, f"the first of {place.host_file}"
    if there is not None and not Path(there.path).exists():
        return there, f"named by {source}"
    return _installation(place)


def decide(request: Request, facts: Facts) -> Plan:
    """Return the plan of a request, and what is wrong with the machine for it, unless the request wants no pre-flight.

    Reads the run folders where a checkpoint is wanted.

    Raises:
        RequestError: The request is wrong for this installation and machine.
    """
    asked, target = resolve(request, facts)
    if asked.save_every is not None:
        facts = replace(facts, pace=_pace(target))
    decided = plan(asked, facts, target, _checkpoints(asked, facts, target))
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
    same = registry.of_task(target.task.task.id, target.library)
    return next((run.progress.iteration_seconds for run in same if run.progress.iteration_seconds), None)


def _checkpoints(request: Request, facts: Facts, target: Target) -> tuple[CheckpointFile, ...]:
    """Return the files that may be meant, the incomplete ones in the way of the choice marked."""
    context = Context(request=request, facts=facts, target=target)
    name = wanted(context)
    if name is None or name == "pretrained" or name.startswith(REMOTE):
        return ()
    from spark_rl import logs

    if name not in ("latest", "best") and request.load_run is None:
        files = logs.named_checkpoint(Path(request.cwd, Path(name).expanduser()), target.library)
        return _vetted(replace(context, checkpoints=files))
    files = logs.list_checkpoints(Path(run_folder(context)), target.library)
    if request.action == "play" and request.load_run is None:
        files = _preferred(files, request, target)
    if name == "best":
        files = _rated(files, target.library)
    return _vetted(replace(context, checkpoints=files))


def _vetted(context: Context) -> tuple[CheckpointFile, ...]:
    """Return the context's files, those that would be chosen and are incomplete marked as that."""
    from spark_rl import checkpoint_files

    while True:
        file = choose(context)
        if file is None or checkpoint_files.is_whole(file.path):
            return context.checkpoints
        marked = (replace(one, whole=False) if one == file else one for one in context.checkpoints)
        context = replace(context, checkpoints=tuple(marked))


def _preferred(files: tuple[CheckpointFile, ...], request: Request, target: Target) -> tuple[CheckpointFile, ...]:
    """Return the files to play from: those of the run that was named, else of the newest run that succeeded.

    Runs that nobody recorded count too; runs that did not succeed only where nothing else is there.
    """
    if request.run is not None:
        return _files_of(registry.load(request.run))
    task = target.task.task.train_id or target.task.task.id
    recorded = [run for run in registry.of_task(task, target.library) if run.algorithm == target.algorithm]
    good = next((found for run in recorded if run.state == "succeeded" and (found := _files_of(run))), ())
    folders = {attempt.log_dir for run in recorded for attempt in run.attempts}
    unknown = tuple(file for file in files if file.path.removesuffix(f"/{file.name}") not in folders)
    if good or unknown:
        return (*good, *unknown)
    return next((found for run in recorded if (found := _files_of(run))), files)


def _files_of(run: Run) -> tuple[CheckpointFile, ...]:
    from spark_rl import logs

    folders = dict.fromkeys(attempt.log_dir for attempt in run.attempts if attempt.log_dir)
    origin = f"run {run.id}, {run.state}"
    return tuple(
        replace(file, origin=origin) for folder in folders for file in logs.list_run(Path(folder), run.library)
    )


def _rated(files: tuple[CheckpointFile, ...], library: str) -> tuple[CheckpointFile, ...]:
    """Return the files of the newest run with the mean reward that was recorded when each was saved."""
    from spark_rl import checkpoints, curves, events, logs

    found = []
    known: dict[Path, tuple[Curve | None, counting.Scale]] = {}
    for file in checkpoints.newest_run(files, library):
        folder = Path(file.path.removesuffix(f"/{file.name}"))
        if folder not in known:
            params, tag = logs.read_params(folder), curves.REWARD[library]
            scale = counting.Scale(library=library, horizon=params.horizon, num_envs=params.num_envs)
            recorded = events.read(folder, (tag,)).get(tag)
            known[folder] = recorded and curves.in_iterations(recorded, scale), scale
        curve, scale = known[folder]
        number = checkpoints.number(file, library)
        held = counting.saved(number, scale) if number is not None else None
        found.append(replace(file, reward=_reward(curve, held)))
    return tuple(found)


def _reward(curve: Curve | None, held: int | None) -> float | None:
    """Return the mean reward after ``held`` iterations, the best one where that number is not known."""
    if curve is None:
        return None
    best = curve.best[1] if curve.best else None
    return best if held is None else curve.until(held).final


def tasks(place: Place) -> Catalog:
    """Return the tasks of the installation in use, or the list that comes with spark-rl where there is none.

    Raises:
        RequestError: The installation that was named is none.
    """
    return _listed(place)[1]


def describe(place: Place, name: str) -> Description:
    """Return all that is known of the task that a name means.

    Raises:
        RequestError: No task, or more than one, goes by this name, or the installation that was named is none.
    """
    from spark_rl import description

    installation, catalog = _listed(place)
    renames = catalogues.renames()
    resolved = names.resolve(name, "train", catalog, int(catalog.version.partition(".")[0]), renames)
    project = external.project_of(resolved.task, _projects(place))
    return description.describe(
        resolved,
        version=catalog.version,
        renames=renames,
        installation=installation,
        origin=catalog.origin,
        project=project.path if project else None,
    )


def _listed(place: Place) -> tuple[Installation | None, Catalog]:
    try:
        installation, _ = _installation(place)
    except RequestError:
        if place.isaaclab is not None or settings.load(place.cwd).text("isaaclab") is not None:
            raise
        return None, catalogues.shipped(NEWEST)
    installation = projects.beside(installation, _projects(place))
    catalog = catalogues.load(installation, settings.cache_folder())
    catalogues.remember(catalog, installation, settings.cache_folder())
    return installation, catalog


def _projects(place: Place) -> tuple[Project, ...]:
    return projects.find(place.cwd, projects.named(settings.load(place.cwd)))
