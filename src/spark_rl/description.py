"""Everything known of one task: as a value, and as the document ``spark-rl/task/1``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_rl import assets, catalog
from spark_rl.errors import RequestError
from spark_rl.names import related
from spark_rl.plan import choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_rl.model import Action, AgentConfig, Installation, Resolved, Task
    from spark_rl.names import Rename, Renames

__all__ = ["SCHEMA", "Command", "Description", "Name", "describe"]

SCHEMA = "spark-rl/task/1"
_ACTIONS: tuple[Action, ...] = ("train", "play")


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """An id of the task in one generation of Isaac Lab, and the presets that make it the same task there."""

    id: str
    presets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line to paste; ``default`` where the library and the algorithm are those taken without options."""

    action: Action
    library: str
    algorithm: str
    agent: str
    text: str
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One task, and what a person needs to know to train it.

    ``names_2`` and ``names_3`` are its ids in both generations, ``alike`` ids of 3.0 tasks that resemble it.
    ``isaac_sim`` says whether its default physics needs Isaac Sim, ``instead`` a physics that does not, and None of
    both what nobody knows. ``refused`` is True where the installation in use lacks it, so that the commands will be.
    ``embedded`` is True where spark-rl's own assets suffice. ``project`` is the folder of the
    task's project, None for Isaac Lab's own and installed packages.
    """

    resolved: Resolved
    version: str
    names_2: tuple[Name, ...]
    names_3: tuple[Name, ...]
    commands: tuple[Command, ...]
    alike: tuple[str, ...] = ()
    isaac_sim: bool | None = None
    instead: str | None = None
    embedded: bool = False
    refused: bool = False
    project: str | None = None
    origin: str = ""

    @property
    def task(self) -> Task:
        """The task itself."""
        return self.resolved.task

    @property
    def own(self) -> bool:
        """Whether it is one of Isaac Lab's own tasks."""
        return self.task.package.startswith("isaaclab")

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that define it: environment, its config, agents; most telling first."""
        targets = (self.task.env_cfg, self.task.entry_point, *(agent.target for agent in self.task.agents))
        own = (target.partition(":")[0] for target in targets if target and target.startswith(self.task.package))
        return tuple(dict.fromkeys(own))

    def to_document(self) -> dict[str, Any]:
        """Return the ``spark-rl/task/1`` document."""
        one = catalog.Catalog(version=self.version, tasks=(self.task,), origin=self.origin).to_document()
        return {
            "schema": SCHEMA,
            "isaaclab": self.version,
            "origin": self.origin,
            "requested": self.resolved.requested,
            "presets": list(self.resolved.presets),
            "note": self.resolved.note,
            **one["tasks"][0],
            "names": {"2": [_name(name) for name in self.names_2], "3": [_name(name) for name in self.names_3]},
            "alike": list(self.alike),
            "needs": {
                "isaac_sim": self.isaac_sim,
                "instead": self.instead,
                "refused": self.refused,
                "cameras": self.task.cameras,
                "assets": None if not self.own else "embedded" if self.embedded else "nvidia",
            },
            "source": {"package": self.task.package, "project": self.project, "modules": list(self.modules)},
            "commands": [
                {name: getattr(command, name) for name in ("action", "library", "algorithm", "agent", "default")}
                | {"command": command.text}
                for command in self.commands
            ],
        }


def describe(
    resolved: Resolved,
    *,
    version: str,
    renames: Renames,
    installation: Installation | None = None,
    origin: str = "",
    project: str | None = None,
) -> Description:
    """Put together what is known of a task.

    Args:
        resolved: The task, as :func:`spark_rl.names.resolve` found it.
        version: The Isaac Lab whose task it is.
        renames: The ids of both generations.
        installation: The Isaac Lab in use, None where there is none.
        origin: Where the catalogue was read, in a few words.
        project: Folder of the task project it comes from.
    """
    task, generation = resolved.task, int(version.partition(".")[0])
    old, new = _names(task, generation, renames)
    newton = sorted(name for name in task.physics_options if name.startswith("newton"))
    # Newton's solver of rigid bodies is the one that nearly every task has.
    instead = max(newton, key="newton_mjwarp".__eq__, default=None) if task.kitless is False else None
    words = resolved.presets
    if installation is not None and installation.kitless and instead and not resolved.presets:
        words = (f"physics={instead}",)
    return Description(
        resolved=resolved,
        version=version,
        names_2=old,
        names_3=new,
        commands=tuple(_commands(task, words)),
        alike=related(task.id, renames),
        isaac_sim=None if task.kitless is None else not task.kitless,
        instead=instead,
        embedded=generation > 2 and assets.covers(task.id),
        refused=installation is not None and installation.kitless and task.kitless is False and instead is None,
        project=project,
        origin=origin,
    )


def _names(task: Task, generation: int, renames: Renames) -> tuple[tuple[Name, ...], tuple[Name, ...]]:
    """Return the ids of a task in 2.x and in 3.0; a preset of 3.0 may have been a task of its own in 2.x."""
    own = (Name(id=task.id),)
    if generation > 2:
        rows = tuple(row for row in renames.rows if row.new == (task.replaced_by or task.id))
        return tuple(Name(id=row.old, presets=row.presets) for row in rows), own
    row: Rename | None = renames.forward(task.id)
    return own, (Name(id=row.new, presets=row.presets),) if row is not None and row.new else ()


def _commands(task: Task, words: tuple[str, ...]) -> Iterator[Command]:
    if not task.trainable:
        return
    library = choice.choose_library(None, task)[0]
    first = task.agent(library, choice.choose_algorithm(None, task, library)[0])
    agents = sorted(task.agents, key=lambda agent: (agent != first, agent.library != library))
    for action in _ACTIONS:
        yield from (_command(action, task, agent, words, default=agent == first) for agent in agents)


def _command(action: Action, task: Task, agent: AgentConfig, words: tuple[str, ...], *, default: bool) -> Command:
    options = ["--library", agent.library, *_choice(task, agent)]
    return Command(
        action=action,
        library=agent.library,
        algorithm=agent.algorithm,
        agent=agent.entry_point,
        text=" ".join(("spark-rl", action, "--task", task.train_id or task.id, *options, *words)),
        default=default,
    )


def _choice(task: Task, agent: AgentConfig) -> tuple[str, ...]:
    """Return the options that choose an agent config of its library: none for the library's default."""
    if agent != task.agent(agent.library, agent.algorithm):
        return ("--agent", agent.entry_point)
    if agent.algorithm in ("MAPPO", "IPPO", "AMP"):
        return ("--algorithm", agent.algorithm)
    try:
        if choice.choose_algorithm(None, task, agent.library)[0] == agent.algorithm:
            return ()
        choice.choose_algorithm(agent.algorithm, task, agent.library)
    except RequestError:
        return ("--agent", agent.entry_point)
    return ("--algorithm", agent.algorithm)


def _name(name: Name) -> dict[str, Any]:
    return {"id": name.id, "presets": list(name.presets)}
