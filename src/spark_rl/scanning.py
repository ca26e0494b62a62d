"""From source texts to tasks: registrations, their agent configs and the plain facts of their env configs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_rl.agent_configs import KEY, agent_configs
from spark_rl.catalog import MIMIC
from spark_rl.config_classes import ConfigSources
from spark_rl.model import Task
from spark_rl.registrations import Registration, read_registrations, registers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Scan", "scan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Tasks in the order of their ids, and one line for each thing that the text does not decide."""

    tasks: tuple[Task, ...]
    undecided: tuple[str, ...]


def scan(sources: Iterable[tuple[str, str]]) -> Scan:
    """Read the task registrations of source texts.

    The tasks of :data:`spark_rl.catalog.MIMIC` have no agents, whatever they register: train and play cannot start
    them. An id that another package registers as well is that package's.

    Args:
        sources: (path, text) pairs of Python and YAML files; paths are relative to the import root, with forward
            slashes (``isaaclab_tasks/direct/cartpole/__init__.py``).
    """
    texts = dict(sources)
    configs = ConfigSources(texts)
    found: dict[str, Registration] = {}
    undecided: list[str] = []
    for path, text in sorted(texts.items(), key=lambda source: (not source[0].startswith(MIMIC), source[0])):
        if path.endswith(".py") and registers(text):
            registrations, unclear = read_registrations(path, text)
            found |= {registration.id: registration for registration in registrations}
            undecided += unclear
    undecided += [line for registration in found.values() for line in _unclear(registration)]
    tasks = [_task(registration, configs) for _, registration in sorted(found.items())]
    return Scan(tasks=_twins(tasks), undecided=tuple(undecided))


def _unclear(registration: Registration) -> Iterator[str]:
    """Yield a line for each config that is registered but not named in plain text."""
    for key, value in registration.kwargs:
        if value is None and (key == "env_cfg_entry_point" or KEY.fullmatch(key)):
            yield f"{registration.where}: {key} of {registration.id} is not a constant"


def _task(registration: Registration, configs: ConfigSources) -> Task:
    kwargs = dict(registration.kwargs)
    agents = agent_configs(kwargs, configs) if not registration.package.startswith(MIMIC) else ()
    algorithms = {agent.algorithm for agent in agents}
    env_cfg = str(kwargs.get("env_cfg_entry_point") or "") or None
    default_agent = kwargs.get("default_agent")
    return Task(
        id=registration.id,
        package=registration.package,
        entry_point=registration.entry_point,
        env_cfg=env_cfg,
        agents=agents,
        multi_agent=not algorithms.isdisjoint({"IPPO", "MAPPO"}),
        amp="AMP" in algorithms,
        cameras=configs.has_camera(env_cfg) if env_cfg else False,
        num_envs=_num_envs(configs.value(env_cfg, "scene", "num_envs")) if env_cfg else None,
        default_agent=default_agent if isinstance(default_agent, str) else None,
        replaced_by=_replacement(kwargs.get("deprecated")),
    )


def _num_envs(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _replacement(deprecated: Any) -> str | None:
    """Return what a deprecated id says to type instead: the id, and overrides where there are any."""
    alias = deprecated.get("alias") if isinstance(deprecated, dict) else None
    return alias.removeprefix("--task").lstrip("= ") if isinstance(alias, str) else None


def _twins(tasks: list[Task]) -> tuple[Task, ...]:
    ids = {task.id for task in tasks}
    trained = {task.id: task.id.replace("-Play", "", 1) for task in tasks}
    trained = {play_id: train_id for play_id, train_id in trained.items() if play_id != train_id and train_id in ids}
    played = {train_id: play_id for play_id, train_id in trained.items()}
    return tuple(replace(task, play_id=played.get(task.id), train_id=trained.get(task.id)) for task in tasks)
