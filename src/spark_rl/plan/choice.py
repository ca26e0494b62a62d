"""Which RL library, algorithm and agent config a request means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.errors import LackError, RequestError
from spark_rl.model import ALGORITHMS, LIBRARIES, AgentConfig
from spark_rl.text import did_you_mean, either, fold

if TYPE_CHECKING:
    from spark_rl.model import Task

PREFERRED = ("rsl_rl", "skrl", "rl_games", "sb3")
"""Where a default library is looked for, after the rules for special tasks."""

_RL_GAMES_FAMILIES = ("factory", "forge", "automate")


def choose_library(asked: str | None, task: Task) -> tuple[str, str]:
    """Return the RL library and why.

    Raises:
        RequestError: The library is unknown or has no agent config for the task, or no library has one.
    """
    asked = next((library for library in LIBRARIES if asked and fold(library) == fold(asked)), asked)
    if asked is not None and asked not in LIBRARIES:
        raise RequestError(f"unknown RL library: {asked}", did_you_mean(asked, LIBRARIES, "libraries"))
    if not task.libraries:
        raise LackError(
            f"{task.id} cannot be trained: no RL library has an agent config for it",
            "see the tasks that can be: spark-rl list-envs --trainable",
        )
    if asked is not None and asked not in task.libraries:
        raise LackError(
            f"{asked} has no agent config for {task.id}",
            f"use --library {either(task.libraries)}, which have one"
            if len(task.libraries) > 1
            else f"use --library {task.libraries[0]}, which has one",
        )
    if asked is not None:
        return asked, "asked for"
    return _default_library(task)


def _default_library(task: Task) -> tuple[str, str]:
    if task.amp and "skrl" in task.libraries:
        return "skrl", "adversarial motion priors (AMP) exist in skrl alone"
    if task.multi_agent and "skrl" in task.libraries:
        return "skrl", "multi-agent training exists in skrl alone"
    if "rl_games" in task.libraries and any(family in task.id.lower() for family in _RL_GAMES_FAMILIES):
        return "rl_games", "contact-rich assembly tasks are tuned for rl_games"
    library = next(library for library in PREFERRED if library in task.libraries)
    if library == "rsl_rl":
        return library, "the default where a task has a config for it"
    return library, f"the first of {', '.join(PREFERRED)} that has an agent config for this task"


def choose_algorithm(asked: str | None, task: Task, library: str) -> tuple[str, str]:
    """Return the algorithm and why.

    Raises:
        RequestError: The algorithm is unknown, or the library or the task does not have it.
    """
    algorithm = asked.upper() if asked is not None else None
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise RequestError(f"unknown algorithm: {asked}", did_you_mean(algorithm, ALGORITHMS, "algorithms"))
    registered = task.algorithms(library)
    if algorithm is None:
        return _default_algorithm(task, library, registered)
    if algorithm in ("MAPPO", "IPPO") and not task.multi_agent:
        raise RequestError(
            f"{algorithm} trains several agents, and {task.id} has a single one", "leave --algorithm out to train PPO"
        )
    if algorithm not in registered:
        raise LackError(f"{library} has no {algorithm} config for {task.id}", _where(algorithm, task, library))
    if algorithm == "PPO" and task.multi_agent:
        return algorithm, "the multi-agent task is turned into a single-agent task"
    return algorithm, "asked for"


def _default_algorithm(task: Task, library: str, registered: tuple[str, ...]) -> tuple[str, str]:
    if task.multi_agent and library == "skrl" and "MAPPO" in registered:
        return "MAPPO", "a multi-agent task trains with MAPPO unless --algorithm says otherwise"
    if task.amp and "AMP" in registered:
        return "AMP", "the task is made for adversarial motion priors"
    if task.multi_agent:
        return "PPO", f"{library} trains one agent: the multi-agent task is turned into a single-agent task"
    return registered[0], "the task's own agent config"


def _where(algorithm: str, task: Task, library: str) -> str:
    others = tuple(other for other in task.libraries if algorithm in task.algorithms(other))
    if others:
        return f"use --library {either(others)}"
    return f"{library} has {either(task.algorithms(library))} for it"


def choose_agent(task: Task, library: str, algorithm: str, entry_point: str | None) -> AgentConfig:
    """Return the agent config: the one named by ``--agent``, else the algorithm's first.

    Raises:
        RequestError: The named agent config entry point is not registered for the task.
    """
    if entry_point is None:
        agent = task.agent(library, algorithm)
        return agent or AgentConfig(entry_point="", library=library, algorithm=algorithm, target="")
    named = {agent.entry_point: agent for agent in task.agents if agent.library == library}
    if entry_point not in named:
        raise RequestError(
            f"{task.id} has no agent config entry point {entry_point} for {library}",
            did_you_mean(entry_point, named, "registered"),
        )
    return named[entry_point]
