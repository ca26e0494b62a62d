"""The catalogue: the tasks of one Isaac Lab, as a value that survives JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, overload

from spark_rl.model import AgentConfig, Task
from spark_rl.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["MIMIC", "SCHEMA", "Catalog", "Rules", "Tasks", "overlaid", "plain_name"]

SCHEMA = "spark-rl/tasks/1"

MIMIC = "isaaclab_mimic"
"""Isaac Lab's package for generating demonstrations: its tasks are registered, but train and play never import it."""

_CONTRACT = (
    "id category robot multi_agent amp cameras physics play_id train_id difficulty summary package".split()  # noqa: SIM905
)


class Tasks(Sequence[Task]):
    """The tasks of a document; one is built when it is asked for, and equal to a tuple of the same tasks.

    Raises:
        ValueError: A row is no task.
    """

    __slots__ = ("_built", "_places", "_rows")

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = tuple(rows)
        self._built: dict[int, Task] = {}
        try:
            self._places = {row["id"]: place for place, row in enumerate(self._rows)}
        except (KeyError, TypeError) as error:
            raise ValueError(f"a damaged {SCHEMA} document: {error!r}") from error

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, place: int | slice) -> Task | tuple[Task, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        at = range(len(self._rows))[place]
        if at not in self._built:
            try:
                self._built[at] = _task(self._rows[at])
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"a damaged {SCHEMA} document: {error!r}") from error
        return self._built[at]

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Tasks | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def ids(self) -> tuple[str, ...]:
        """Return the ids in order, without building a task."""
        return tuple(self._places)

    def get(self, task_id: str) -> Task | None:
        """Return the task of this id."""
        place = self._places.get(task_id)
        return None if place is None else self[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The tasks of one Isaac Lab.

    ``version`` is Isaac Lab's, ``origin`` says in a few words where the tasks were read, and ``undecided`` holds one
    line for each registration that the source text does not decide. ``stamp`` names the state of the sources that a
    fresh scan saw; it is None for what need not be remembered.
    """

    version: str
    tasks: Sequence[Task]
    origin: str = ""
    undecided: tuple[str, ...] = ()
    stamp: str | None = field(default=None, compare=False, repr=False)

    def get(self, task_id: str) -> Task | None:
        """Return the task registered under exactly this id."""
        if isinstance(self.tasks, Tasks):
            return self.tasks.get(task_id)
        return next((task for task in self.tasks if task.id == task_id), None)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all tasks, in the catalogue's order."""
        return self.tasks.ids() if isinstance(self.tasks, Tasks) else tuple(task.id for task in self.tasks)

    def named(self, name: str) -> Iterator[Task]:
        """Return the tasks that go by this name (see :func:`plain_name`)."""
        wanted = plain_name(name)
        return (self.tasks[place] for place, task_id in enumerate(self.ids()) if plain_name(task_id) == wanted)

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
                tasks=Tasks(document["tasks"]),
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
    pairs = ((task, known.get(task.id)) for task in tasks)
    return tuple(task if shipped is None else _overlay(task, shipped) for task, shipped in pairs)


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
