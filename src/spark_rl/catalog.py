"""The catalogue: the tasks of one Isaac Lab, as a value that survives JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from spark_rl.model import AgentConfig, Task
from spark_rl.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SCHEMA", "Catalog", "Rules", "overlaid", "plain_name"]

SCHEMA = "spark-rl/tasks/1"

_CONTRACT = (
    "id category robot multi_agent amp cameras physics play_id train_id difficulty summary package".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The tasks of one Isaac Lab.

    ``version`` is Isaac Lab's, ``origin`` says in a few words where the tasks were read, and ``undecided`` holds one
    line for each registration that the source text does not decide.
    """

    version: str
    tasks: tuple[Task, ...]
    origin: str = ""
    undecided: tuple[str, ...] = ()

    def get(self, task_id: str) -> Task | None:
        """Return the task registered under exactly this id."""
        return next((task for task in self.tasks if task.id == task_id), None)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all tasks, in the catalogue's order."""
        return tuple(task.id for task in self.tasks)

    def nearest(self, name: str, n: int = 3) -> tuple[str, ...]:
        """Return up to ``n`` ids most like ``name``, best first, blind to case, dashes, version and ``-Play``."""
        by_name: dict[str, str] = {}
        for task in sorted(self.tasks, key=lambda task: (task.train_id is not None, task.replaced_by is not None)):
            by_name.setdefault(plain_name(task.id), task.id)
        wanted = plain_name(name)
        parts = (candidate for candidate in sorted(by_name, key=len) if wanted and wanted in candidate)
        close = dict.fromkeys((*nearest(wanted, by_name, n), *parts))
        return tuple(by_name[candidate] for candidate in close)[:n]

    def to_document(self) -> dict[str, Any]:
        """Return the ``spark-rl/tasks/1`` document, with what is needed to read the same catalogue back."""
        document: dict[str, Any] = {"schema": SCHEMA, "isaaclab": self.version, "origin": self.origin}
        if self.undecided:
            document["undecided"] = list(self.undecided)
        return document | {"tasks": [_task_document(task) for task in self.tasks]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a catalogue back from its document.

        Raises:
            ValueError: The document is no ``spark-rl/tasks/1`` catalogue.
        """
        if document.get("schema") != SCHEMA:
            raise ValueError(f"not a {SCHEMA} document")
        try:
            return cls(
                version=str(document["isaaclab"]),
                tasks=tuple(_task(row) for row in document["tasks"]),
                origin=str(document.get("origin", "")),
                undecided=tuple(document.get("undecided", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a damaged {SCHEMA} document: {error!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is known of a task by its name alone: (regular expression, value) pairs, the first match counts.

    The expressions are matched against :func:`plain_name`.
    """

    categories: tuple[tuple[str, str], ...]
    robots: tuple[tuple[str, str], ...]
    difficulties: tuple[tuple[str, str], ...]
    summaries: tuple[tuple[str, str], ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the rules from their JSON document: one list of pairs per field."""
        return cls(**{field.name: tuple((str(k), str(v)) for k, v in document[field.name]) for field in fields(cls)})

    def describe(self, task: Task) -> Task:
        """Return the task with robot, category, difficulty and summary filled in where they are missing."""
        name = plain_name(task.id)
        return replace(
            task,
            category=task.category or _first(self.categories, name),
            robot=task.robot or _first(self.robots, name),
            difficulty=task.difficulty or _first(self.difficulties, name),
            summary=task.summary or _first(self.summaries, name),
        )


def plain_name(task_id: str) -> str:
    """Return an id in lower case without namespace, ``Isaac-``, dashes, version and ``-Play``: the name it goes by."""
    parts = task_id.rpartition(":")[2].replace("_", "-").lower().split("-")
    if parts[0] in ("isaac", "isaaccontrib") and len(parts) > 1:
        parts = parts[1:]
    if len(parts) > 1 and parts[-1][:1] == "v" and parts[-1][1:].isdigit():
        parts = parts[:-1]
    return "".join(part for part in parts if part != "play")


def overlaid(tasks: Iterable[Task], known: Catalog) -> tuple[Task, ...]:
    """Return ``tasks`` with what the text did not say taken from ``known``, task by task of the same id.

    What only Isaac Lab's own resolver knows (physics, cameras) always comes from ``known``; figures of an agent
    config do where both name the same config.
    """
    shipped = {task.id: task for task in known.tasks}
    return tuple(_overlay(task, shipped[task.id]) if task.id in shipped else task for task in tasks)


_RESOLVED = ("physics", "physics_options", "kitless", "cameras")
_DEFAULTS = {field.name: field.default for field in fields(Task)}
_AGENT_FIELDS = tuple(field.name for field in fields(AgentConfig))


def _overlay(task: Task, known: Task) -> Task:
    agents = {agent.entry_point: agent for agent in known.agents}
    return replace(
        task,
        **{name: getattr(known, name) for name in _RESOLVED},
        num_envs=task.num_envs if task.num_envs is not None else known.num_envs,
        agents=tuple(_overlay_agent(agent, agents.get(agent.entry_point)) for agent in task.agents),
    )


def _overlay_agent(agent: AgentConfig, known: AgentConfig | None) -> AgentConfig:
    if known is None or known.target != agent.target:
        return agent
    missing = {name: getattr(known, name) for name in _AGENT_FIELDS if getattr(agent, name) is None}
    return replace(agent, **missing)


def _first(pairs: tuple[tuple[str, str], ...], name: str) -> str | None:
    import re

    return next((value for pattern, value in pairs if re.search(pattern, name)), None)


def _task_document(task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(task, name) for name in _CONTRACT}
    row["libraries"] = list(task.libraries)
    row["algorithms"] = {library: list(task.algorithms(library)) for library in task.libraries}
    row["trainable"] = task.trainable
    row["agents"] = [_without_none(asdict(agent)) for agent in task.agents]
    for name, default in _DEFAULTS.items():
        value = getattr(task, name)
        if name not in row and value != default:
            row[name] = list(value) if isinstance(value, tuple) else value
    return row


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _task(row: Mapping[str, Any]) -> Task:
    known = {name: row[name] for name in _DEFAULTS if name in row}
    known["agents"] = tuple(AgentConfig(**agent) for agent in row.get("agents", ()))
    known["physics_options"] = tuple(row.get("physics_options", ()))
    return Task(**known)
