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
    external,
    gpus,
    host,
    installations,
    names,
    network,
    preload,
    probes,
    projects,
    settings,
)
from spark_rl.errors import RequestError
from spark_rl.model import Finding
from spark_rl.plan import Context, Facts, Target, plan, resolve
from spark_rl.plan.policy import REMOTE, run_folder, wanted

if TYPE_CHECKING:
    from spark_rl.catalog import Catalog
    from spark_rl.checks import Section
    from spark_rl.description import Description
    from spark_rl.external import Project
    from spark_rl.model import CheckpointFile, Computation, Folder, Host, Installation, Plan, Request

DRIVER = str(Path(__file__).parent / "drivers" / "play.py")
NEWEST = "3.0.0"
ASSETS_S = 1.5
"""How long ``doctor`` waits for NVIDIA's asset host, in seconds."""


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
        machine = replace(host.probe(), folders=_folders(place.cwd, installation))
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
    """Return the plan of a request, and what is wrong with the machine for it, unless the request wants no pre-flight.

    Reads the run folders where a checkpoint is wanted.

    Raises:
        RequestError: The request is wrong for this installation and machine.
    """
    asked, target = resolve(request, facts)
    decided = plan(asked, facts, target, _checkpoints(asked, facts, target))
    if not request.preflight:
        return decided
    found = (*decided.findings, *checks.for_plan(decided, asked, facts.host))
    return replace(decided, findings=checks.ordered(found))


def _folders(cwd: Path, installation: Installation | None) -> tuple[Folder, ...]:
    """Return the folders of this machine that a run writes to."""
    import tempfile

    old = installation is not None and installation.generation < 3
    logs = Path(installation.path) if installation is not None and old else cwd
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    temp = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    return host.look({"logs": (logs,), "cache": (caches,), "temp": (temp,), "shm": (Path("/dev/shm"),)})  # noqa: S108


def _checkpoints(request: Request, facts: Facts, target: Target) -> tuple[CheckpointFile, ...]:
    context = Context(request=request, facts=facts, target=target)
    name = wanted(context)
    if name is None or name == "pretrained" or name.startswith(REMOTE):
        return ()
    from spark_rl import logs

    if name in ("latest", "best") or request.load_run is not None:
        return logs.list_checkpoints(Path(run_folder(context)), target.library)
    return logs.named_checkpoint(Path(request.cwd, Path(name).expanduser()), target.library)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A machine: its facts, every Isaac Lab on it with the reason why it would be used, and what is wrong.

    The installation in use comes first.
    """

    host: Host
    installations: tuple[tuple[Installation, str], ...]
    sections: tuple[Section, ...]
    computation: Computation | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, over all groups."""
        return checks.findings(self.sections)


def examine(place: Place) -> Examination:
    """Return all that is known of this machine, or of the one that the host file of ``place`` describes.

    Raises:
        RequestError: The installation that was named is none.
    """
    if place.host_file is not None:
        machine, listed = host.load(place.host_file)
        found = tuple((entry, f"listed in {place.host_file}") for entry in listed)
        return Examination(host=machine, installations=found, sections=checks.for_machine(machine, found))
    found, broken = _installed(place)
    machine = replace(
        host.probe(),
        folders=_folders(place.cwd, found[0][0] if found else None),
        asset_host=None if os.environ.get("ISAACSIM_ASSET_ROOT") else network.answers(timeout_s=ASSETS_S),
    )
    return Examination(host=machine, installations=found, sections=checks.for_machine(machine, found, broken))


def _installed(place: Place) -> tuple[tuple[tuple[Installation, str], ...], tuple[Finding, ...]]:
    """Return the installations of this machine with their reasons, and why others cannot be used."""
    setting = settings.load(place.cwd).get("isaaclab")
    named, source = (place.isaaclab, "--isaaclab") if place.isaaclab is not None else (setting.value, setting.source)
    first = ((installations.inspect(Path(named)), f"named by {source}"),) if isinstance(named, str) else ()
    others, broken = installations.found(place.cwd, os.environ)
    known = {entry.path: (installations.with_runtime(entry, os.environ), why) for entry, why in (*others, *first)}
    order = dict.fromkeys(entry.path for entry, _ in (*first, *others))
    return tuple(known[path] for path in order), tuple(_unusable(error) for error in broken)


def _unusable(error: RequestError) -> Finding:
    return Finding(code="isaaclab-broken", level="warning", message=error.message, hint=error.hint)


def examine_deeply(place: Place) -> Examination:
    """Return an examination that has also computed something in the Python of the Isaac Lab in use.

    Raises:
        RequestError: The installation that was named is none, or the machine is another one.
    """
    if place.host_file is not None:
        raise RequestError("--deep computes on this machine, and --host describes another one", "leave one of them out")
    examined = examine(place)
    if not examined.installations:
        return examined
    used, seen = examined.installations[0][0], len(gpus.visible(examined.host))
    done = probes.compute(used, seen)
    sections = (*examined.sections, checks.for_computation(done, used, seen))
    return replace(examined, sections=sections, computation=done)
