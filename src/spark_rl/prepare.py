"""Use cases that only look: from flags and files to a plan, a list of tasks, a picture of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import assets, catalogues, checks, external, host, installations, names, preload, projects, settings
from spark_rl.errors import RequestError
from spark_rl.plan import Context, Facts, Target, plan, resolve
from spark_rl.plan.policy import REMOTE, choose, run_folder, wanted

if TYPE_CHECKING:
    from spark_rl.catalog import Catalog
    from spark_rl.description import Description
    from spark_rl.external import Project
    from spark_rl.model import CheckpointFile, Finding, Host, Installation, Plan, Request

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
        machine, installation, chosen = host.probe(), *_installation(place)
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
    )


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
    """Return the plan of a request; reads the run folders where a checkpoint is wanted.

    Raises:
        RequestError: The request is wrong for this installation and machine.
    """
    request, target = resolve(request, facts)
    files = _checkpoints(request, facts, target)
    damaged = _damaged(Context(request=request, facts=facts, target=target, checkpoints=files)) if files else ()
    return plan(request, facts, target, files, damaged)


def _checkpoints(request: Request, facts: Facts, target: Target) -> tuple[CheckpointFile, ...]:
    context = Context(request=request, facts=facts, target=target)
    name = wanted(context)
    if name is None or name == "pretrained" or name.startswith(REMOTE):
        return ()
    from spark_rl import logs

    if name in ("latest", "best") or request.load_run is not None:
        return logs.list_checkpoints(Path(run_folder(context)), target.library)
    return logs.named_checkpoint(Path(request.cwd, Path(name).expanduser()), target.library)


def _damaged(context: Context) -> tuple[str, ...]:
    """Return the paths of the checkpoints that would be chosen were they not incomplete.

    Raises:
        RequestError: It is what was named, a file or a run folder.
    """
    from spark_rl import checkpoint_files

    looked: dict[str, bool] = {}

    def whole(file: CheckpointFile) -> bool:
        if file.path not in looked:
            looked[file.path] = checkpoint_files.is_whole(file.path)
        return looked[file.path]

    if choose(context, whole) is None and looked and _is_named(context):
        asked = next(file for file in context.checkpoints if file.path in looked)
        raise _refusal(asked, context.target.library)
    return tuple(path for path, complete in looked.items() if not complete)


def _is_named(context: Context) -> bool:
    return wanted(context) not in ("latest", "best") and context.request.load_run is None


def _refusal(file: CheckpointFile, library: str) -> RequestError:
    """Return the refusal of a file that is incomplete; the most trained whole one of its run is named."""
    from spark_rl import checkpoint_files, checkpoints, logs

    run = Path(file.path.removesuffix(f"/{file.name}"))
    others = (other for other in logs.list_run(run, library) if other.path != file.path)
    choice = checkpoints.latest(others, library, lambda other: checkpoint_files.is_whole(other.path))
    hint = f"this one is whole: --checkpoint {choice.file.path}" if choice else "its run folder holds no whole one"
    return RequestError(f"the checkpoint {file.path} is incomplete", hint)


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


def examine(cwd: Path) -> tuple[Host, tuple[Installation, ...], tuple[Finding, ...]]:
    """Return the facts of this machine, every Isaac Lab found on it, and what is wrong; the one in use comes first."""
    machine = host.probe()
    named = settings.load(cwd).text("isaaclab")
    first = (installations.inspect(Path(named)),) if named is not None else ()
    others = (installation for installation, _ in installations.found(cwd, os.environ))
    found = tuple({installation.path: installation for installation in (*first, *others)}.values())
    return machine, found, checks.machine(machine, found)
