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
    times,
    tuning,
    tunings,
)
from spark_rl.errors import CheckError, RequestError
from spark_rl.gauges import system
from spark_rl.model import Finding
from spark_rl.plan import Context, Facts, Knowledge, Target, plan, resolve, surroundings
from spark_rl.plan.policy import REMOTE, choose, experiment, run_folder, wanted
from spark_rl.plan.quantities import batch_rule
from spark_rl.words import is_override

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.catalog import Catalog
    from spark_rl.configuration import Configuration
    from spark_rl.curves import Curve
    from spark_rl.description import Description
    from spark_rl.explanation import Explanation
    from spark_rl.external import Project
    from spark_rl.model import CheckpointFile, Installation, Level, Plan, Request
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
        machine = replace(host.probe(system.memory()), folders=host.folders(_run_folder(place.cwd, installation)))
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
    """Return the plan of a request, and what is wrong with the machine for it, unless the request wants no pre-flight.

    Reads the run folders where a checkpoint is wanted.

    Where there are overrides, the task's configuration is looked at as well: Isaac Lab's own, once, by a child.

    Raises:
        RequestError: The request is wrong for this installation and machine.
    """
    asked, target = resolve(request, facts)
    if asked.save_every is not None:
        facts = replace(facts, pace=_pace(target))
    files = _checkpoints(asked, facts, target)
    decided = plan(asked, facts, target, files)
    if checking.wanted and asked.overrides:
        decided = plan(asked, facts, target, files, _knowledge(asked, facts, target, checking))
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


def sized(request: Request, facts: Facts, *, here: bool) -> Request:
    """Return the request with the env count that ``auto`` means: what was measured here, else the task's own.

    Args:
        request: The request; one that names a number, or none, is left as it is.
        facts: The facts of the machine.
        here: Whether they are of this machine.

    Raises:
        RequestError: The request is wrong for this installation.
    """
    if not request.auto_envs:
        return request
    target = resolve(request, facts)[1]
    found = None
    if here:
        key = tuning.key(request, facts, target, registry.owner_now().host)
        found = tunings.load(registry.folder(), key)
    if found is not None:
        horizon, minibatch = batch_rule(target)
        count = tuning.Rules(first=1, horizon=horizon, minibatch=minibatch).aligned(found.knee)
        why = f"auto: {count}, the knee that `spark-rl tune` found here on {times.iso(found.at)[:10]}"
        return replace(request, auto_envs=False, num_envs=count, num_envs_reason=why)
    usual = target.task.task.num_envs
    hint = "spark-rl tune measures this machine" if here else "what was measured there is known there alone"
    why = f"auto: {usual or 'not known'}, the task's default ({hint})"
    return replace(request, auto_envs=False, num_envs=usual, num_envs_reason=why)


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
