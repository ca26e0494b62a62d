"""Every fact that planning needs: this machine or another one, its Isaac Lab, that one's tasks."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import assets, catalogues, external, host, installations, interfaces, names, preload, projects, settings
from spark_rl.errors import RequestError
from spark_rl.gauges import system
from spark_rl.plan import Facts

if TYPE_CHECKING:
    from spark_rl.catalog import Catalog
    from spark_rl.description import Description
    from spark_rl.external import Project
    from spark_rl.model import Installation

DRIVER = str(Path(__file__).parent.parent / "drivers" / "play.py")
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
        machine = replace(
            host.probe(system.memory()),
            folders=host.folders(_run_folder(place.cwd, installation)),
            interfaces=interfaces.interfaces(),
            rdma=interfaces.rdma(),
        )
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
    """Keep what a scan found for the next command; called once the names of a request have turned out right."""
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
