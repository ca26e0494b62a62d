"""The configuration that overrides are checked against, and browsed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import preload, settings
from spark_rl.errors import CheckError
from spark_rl.model import Finding
from spark_rl.plan import Context, Facts, Knowledge, Target, resolve, surroundings
from spark_rl.plan.policy import experiment, run_folder
from spark_rl.prepare.places import remember
from spark_rl.words import is_override

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_rl.configuration import Configuration
    from spark_rl.explanation import Explanation
    from spark_rl.model import Level, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """How far overrides are checked: whether at all, and whether the machine planned for is this one.

    ``tell`` takes a line for the person who waits.
    """

    wanted: bool = True
    here: bool = True
    tell: Callable[[str], None] = lambda _line: None


NO_CHECKING = Checking(wanted=False)


def known(request: Request, facts: Facts, target: Target, checking: Checking) -> Knowledge:
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
    found = known(request, facts, target, Checking(tell=tell))
    if found.configuration is None:
        why = found.lacking.message.partition(": ")[2] if found.lacking else "nobody looked"
        raise CheckError(f"the configuration of {target.task.task.id} is not known: {why}", "see spark-rl doctor")
    overrides.check(target.overrides, found.configuration)
    return explanation.explain(found.configuration, prefix, library=target.library, version=facts.installation.version)
