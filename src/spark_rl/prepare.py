"""Use cases that only look: from flags and files to a plan, a list of tasks, a picture of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import assets, catalogues, checks, external, host, installations, names, preload, projects, settings
from spark_rl.errors import CheckError, RequestError
from spark_rl.model import Finding
from spark_rl.plan import Context, Facts, Knowledge, Target, plan, resolve, surroundings
from spark_rl.plan.policy import REMOTE, experiment, run_folder, wanted
from spark_rl.words import is_override

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.catalog import Catalog
    from spark_rl.configuration import Configuration
    from spark_rl.description import Description
    from spark_rl.explanation import Explanation
    from spark_rl.external import Project
    from spark_rl.model import CheckpointFile, Host, Installation, Level, Plan, Request

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """How far overrides are checked: whether at all, and whether the machine planned for is this one.

    ``tell`` takes a line for the person who waits.
    """

    wanted: bool = True
    here: bool = True
    tell: Callable[[str], None] = lambda _line: None


NO_CHECKING = Checking(wanted=False)


def decide(request: Request, facts: Facts, checking: Checking = NO_CHECKING) -> Plan:
    """Return the plan of a request; reads the run folders where a checkpoint is wanted.

    Where there are overrides, the task's configuration is looked at as well: Isaac Lab's own, once, by a child.

    Raises:
        RequestError: The request is wrong for this installation and machine.
    """
    request, target = resolve(request, facts)
    files = _checkpoints(request, facts, target)
    decided = plan(request, facts, target, files)
    if not (checking.wanted and request.overrides):
        return decided
    return plan(request, facts, target, files, _knowledge(request, facts, target, checking))


def _knowledge(request: Request, facts: Facts, target: Target, checking: Checking) -> Knowledge:
    """Return the task's configuration, or why the overrides cannot be checked."""
    if not checking.here:
        return _unchecked("the plan is for another machine", "note", None)
    if facts.installation.generation < 3:
        found = _left_by_runs(request, facts, target)
        why = "Isaac Lab 2 tells its configuration only in a run, and no run of this task is here yet"
        return Knowledge(configuration=found) if found else _unchecked(why, "note", None)
    try:
        return Knowledge(configuration=_resolved(request, facts, target, checking))
    except CheckError as error:
        found = _left_by_runs(request, facts, target)
        why = f"Isaac Lab could not resolve {target.task.task.id}: {error.message}"
        return Knowledge(configuration=found) if found else _unchecked(why, "warning", "spark-rl doctor")


def _unchecked(why: str, level: Level, hint: str | None) -> Knowledge:
    message = f"the overrides were not checked: {why}"
    return Knowledge(lacking=Finding(code="overrides-unchecked", level=level, message=message, hint=hint))


def _resolved(request: Request, facts: Facts, target: Target, checking: Checking) -> Configuration:
    """Return Isaac Lab's own configuration of the task: remembered, or asked of its Python.

    Raises:
        CheckError: It cannot tell.
    """
    from spark_rl import configurations

    task = target.task.task.id
    place = configurations.Place(
        installation=facts.installation,
        task=task,
        agent=target.agent.entry_point,
        play=request.action == "play" and "--train_env_cfg" not in target.given,
        stamp=f"{target.task.task.env_cfg} {target.agent.target}",
        folder=settings.cache_folder(),
    )
    words = (*target.overrides, *(word for word in request.passthrough if is_override(word)))
    known = configurations.recall(place, words)
    if known is not None:
        return known
    checking.tell(f"resolving the configuration of {task}, once: about {configurations.SECONDS} s")
    around = surroundings(request, facts, target)
    if ("PYTHONEXE", facts.wrapper) in around.env:
        preload.write_wrapper(Path(facts.wrapper))
    environ = {name: value for name, value in os.environ.items() if name not in around.env_unset} | dict(around.env)
    found = configurations.resolve(place, words, python=around.python, environ=environ, cwd=Path(around.cwd))
    remember(facts)
    return found


def _left_by_runs(request: Request, facts: Facts, target: Target) -> Configuration | None:
    """Return what the newest run of the task wrote down; of 2.x's runs only the experiment tells whose they are."""
    from spark_rl import configurations

    context, old = Context(request=request, facts=facts, target=target), facts.installation.generation < 3
    folder, task = experiment(context), target.task.task
    twins = (task.id, task.play_id, task.train_id)
    owners = (
        other.id
        for other in facts.catalog.tasks
        for agent in other.agents
        if agent.library == target.library and agent.experiment == folder
    )
    if folder is None or (old and any(owner not in twins for owner in owners)):
        return None
    if not old and any("." not in word.partition("=")[0] for word in target.overrides):
        return None  # presets change the keys, and a run does not tell which it had
    root = Path(run_folder(context))
    return configurations.left_by_runs(root, target.library, folder, task=task.id, manifested=not old)


def explain(request: Request, facts: Facts, prefix: str, tell: Callable[[str], None]) -> Explanation:
    """Return what a task's configuration holds, below a key or for a word to search.

    Raises:
        RequestError: No key is like it, or the request is wrong for this installation.
        CheckError: The configuration is not known.
    """
    from spark_rl import explanation, overrides

    request, target = resolve(request, facts)
    known = _knowledge(request, facts, target, Checking(tell=tell))
    if known.configuration is None:
        why = known.lacking.message.partition(": ")[2] if known.lacking else "nobody looked"
        raise CheckError(f"the configuration of {target.task.task.id} is not known: {why}", "see spark-rl doctor")
    overrides.check(target.overrides, known.configuration)
    return explanation.explain(known.configuration, prefix, library=target.library, version=facts.installation.version)


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


def examine(cwd: Path) -> tuple[Host, tuple[Installation, ...], tuple[Finding, ...]]:
    """Return the facts of this machine, every Isaac Lab found on it, and what is wrong; the one in use comes first."""
    machine = host.probe()
    named = settings.load(cwd).text("isaaclab")
    first = (installations.inspect(Path(named)),) if named is not None else ()
    others = (installation for installation, _ in installations.found(cwd, os.environ))
    found = tuple({installation.path: installation for installation in (*first, *others)}.values())
    return machine, found, checks.machine(machine, found)
