"""Task names: from what a user typed to the task that is registered in this version of Isaac Lab.

Isaac Lab 3.0 renamed its tasks and has no ``-Play`` ids any more. A name of either generation finds its task in both,
as long as exactly one task is meant. A namespace (``package:Isaac-Cartpole``) is no part of the id: ``Resolved`` keeps
it in ``requested``, and :func:`spelled` puts it back in front of the id for the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from spark_rl.catalog import Catalog, plain_name
from spark_rl.errors import LackError, RequestError
from spark_rl.model import Action, Resolved, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rename", "RenameKind", "Renames", "counterpart", "related", "resolve", "spelled"]

RenameKind = Literal["exact", "renamed", "preset", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """What became of a 2.x training id in 3.0: its new id, and the presets that make it the same task.

    ``new`` is None for a task that 3.0 removed.
    """

    old: str
    new: str | None
    presets: tuple[str, ...] = ()

    @property
    def kind(self) -> RenameKind:
        """How the task lives on: under its id without ``-v0``, renamed, as a preset of another, or not at all."""
        if self.new is None:
            return "removed"
        if self.presets:
            return "preset"
        return "exact" if self.new == self.old.removesuffix("-v0") else "renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Renames:
    """The task ids of 2.x and of 3.0 side by side.

    ``related`` maps an id to 3.0 tasks that are alike and not the same.
    """

    rows: tuple[Rename, ...]
    related: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the table from its JSON document: rows of [old, new or null, presets ...]."""
        return cls(
            rows=tuple(Rename(old=old, new=new, presets=tuple(presets)) for old, new, *presets in document["renames"]),
            related=tuple((task, tuple(others)) for task, others in document["related"].items()),
        )

    def forward(self, name: str) -> Rename | None:
        """Return the row of a 2.x name, however it is spelled."""
        wanted = plain_name(name)
        return next((row for row in self.rows if plain_name(row.old) == wanted), None)

    def backward(self, name: str) -> tuple[Rename, ...]:
        """Return the rows that lead to a 3.0 name: the one without presets where there is one, else all."""
        wanted = plain_name(name)
        rows = tuple(row for row in self.rows if row.new is not None and plain_name(row.new) == wanted)
        return tuple(row for row in rows if not row.presets) or rows


def resolve(name: str, action: Action, catalog: Catalog, generation: int, renames: Renames) -> Resolved:
    """Find the registered task that a name means.

    A registered id counts as typed, and ``play`` of a task takes its ``-Play`` twin on 2.x. Otherwise case, dashes,
    version, ``-Play`` and the ``Isaac-`` prefix are forgiven, then the other generation's names are tried.

    Args:
        name: What the user typed.
        action: ``train`` or ``play``.
        catalog: The tasks of the Isaac Lab in use.
        generation: Its major version, 2 or 3.
        renames: The ids of both generations.

    Raises:
        RequestError: No task, or more than one, goes by this name; the hint has the nearest names.
    """
    wanted = name.rpartition(":")[2]
    exact = catalog.get(wanted)
    if exact is not None:
        return _settled(name, exact, action, catalog, _remark(exact, action))
    found = _renamed(name, catalog, renames) if generation > 2 else None
    if found is not None:
        return found
    task = _alike(wanted, catalog) or _older(wanted, catalog, renames)
    if task is None:
        raise _unknown(wanted, catalog, renames)
    return _settled(name, task, action, catalog, f"{wanted} is {task.id} in Isaac Lab {catalog.version}")


def spelled(resolved: Resolved) -> str:
    """Return the task as Isaac Lab's command line wants it: the id, behind the namespace that was asked for."""
    namespace, colon, _ = resolved.requested.rpartition(":")
    return f"{namespace}{colon}{resolved.task.id}"


def counterpart(task_id: str, to_generation: int, renames: Renames) -> Rename | None:
    """Return the row that names the same task in the other generation: ``new`` for 3, ``old`` for 2.

    Returns:
        None where that generation has no such task, or where one id stands for several.
    """
    if to_generation > 2:
        row = renames.forward(task_id)
        return row if row is not None and row.new is not None else None
    rows = renames.backward(task_id)
    return rows[0] if len(rows) == 1 else None


def related(task_id: str, renames: Renames) -> tuple[str, ...]:
    """Return 3.0 ids of tasks that are alike but not the same, to be offered, never to be taken for it."""
    return dict(renames.related).get(task_id, ())


def _settled(name: str, task: Task, action: Action, catalog: Catalog, note: str | None) -> Resolved:
    """Return the task, or the twin that ``play`` takes on 2.x; some twins have no agent config and serve nobody."""
    twin = catalog.get(task.play_id) if action == "play" and task.play_id else None
    if twin is None or (task.trainable and not twin.trainable):
        return Resolved(requested=name, task=task, note=note)
    return Resolved(requested=name, task=twin, note=f"play of {task.id} uses {twin.id}")


def _remark(task: Task, action: Action) -> str | None:
    if task.replaced_by:
        return f"{task.id} is deprecated: use {task.replaced_by}"
    if action == "train" and task.train_id:
        return f"{task.id} is the play variant of {task.train_id}"
    return None


def _renamed(name: str, catalog: Catalog, renames: Renames) -> Resolved | None:
    """Return what a 2.x name became in 3.0; None when the table does not know it, or this catalogue has no such id."""
    wanted = name.rpartition(":")[2]
    row = renames.forward(wanted)
    if row is None:
        return None
    if row.new is None:
        alike = [task_id for task_id in related(row.old, renames) if catalog.get(task_id) is not None]
        hint = f"a different task that is alike: {', '.join(alike)}" if alike else _nearest(wanted, catalog)
        raise LackError(f"{wanted} was removed in Isaac Lab 3.0", hint)
    task = catalog.get(row.new)
    note = " ".join((f"{wanted} is {row.new}", *row.presets, f"in Isaac Lab {catalog.version}"))
    return Resolved(requested=name, task=task, presets=row.presets, note=note) if task else None


def _alike(wanted: str, catalog: Catalog) -> Task | None:
    """Return the one task whose plain name this is; a twin or a deprecated id only if nothing else has the name.

    Raises:
        RequestError: Several tasks have it.
    """
    named = list(catalog.named(wanted))
    tasks = [task for task in named if not task.train_id and not task.replaced_by] or named
    if len(tasks) > 1:
        same_letters = [task for task in tasks if _letters(task.id) == _letters(wanted)]
        tasks = same_letters if len(same_letters) == 1 else tasks
    task = _only(wanted, tasks)
    twin = catalog.get(task.play_id) if task and task.play_id and "play" in wanted.lower() else None
    return twin or task


def _older(wanted: str, catalog: Catalog, renames: Renames) -> Task | None:
    """Return the one 2.x task that became this 3.0 task.

    Raises:
        RequestError: Presets of this 3.0 task were several tasks.
    """
    rows = renames.backward(wanted)
    return _only(wanted, [task for row in rows if (task := catalog.get(row.old)) is not None])


def _only(wanted: str, tasks: list[Task]) -> Task | None:
    if len(tasks) > 1:
        raise RequestError(
            f"{wanted} can mean {len(tasks)} tasks", f"name one of {', '.join(task.id for task in tasks)}"
        )
    return tasks[0] if tasks else None


def _letters(task_id: str) -> str:
    return task_id.replace("-", "").replace("_", "").lower()


def _unknown(wanted: str, catalog: Catalog, renames: Renames) -> RequestError:
    row = renames.forward(wanted)
    elsewhere = f" ({row.old} came with a later release)" if row is not None else ""
    kind = LackError if row is not None or renames.backward(wanted) else RequestError
    return kind(f"Isaac Lab {catalog.version} has no task {wanted}{elsewhere}", _nearest(wanted, catalog))


def _nearest(wanted: str, catalog: Catalog) -> str:
    near = catalog.nearest(wanted)
    return f"nearest names: {', '.join(near)}" if near else "list-envs shows the tasks there are"
