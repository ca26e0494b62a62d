"""Task projects beside Isaac Lab, and what it takes to train a task of one.

Isaac Lab 3.0 imports what the entry points of the group ``isaaclab.tasks`` name. A project that is not installed has
none, so its import root goes on PYTHONPATH, together with a folder of spark-rl that has such an entry point and imports
the modules named in SPARK_RL_TASK_MODULES. Isaac Lab 2.x imports no other package: a project made from its template
brings train and play scripts of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from spark_rl.errors import RequestError
from spark_rl.text import either

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.model import Action, Task

__all__ = ["HOOK", "MODULES", "Launch", "Project", "launch", "project_of"]

MODULES = "SPARK_RL_TASK_MODULES"
"""Names the modules that register tasks, with commas; read by ``drivers/external/spark_rl_tasks.py``."""

HOOK = str(PurePath(__file__).parent / "drivers" / "external")
"""The folder whose entry point imports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with task packages of somebody's own.

    ``roots`` are the folders to import from, ``packages`` the top-level packages in them and ``modules`` the ones whose
    import registers the tasks. ``scripts`` are the train and play scripts it brings for Isaac Lab 2.x, as (library,
    action, path). All paths are absolute.
    """

    path: str
    roots: tuple[str, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    scripts: tuple[tuple[str, str, str], ...] = ()

    def script(self, library: str, action: str) -> str | None:
        """Return the project's own script for a library and an action."""
        return next((path for *key, path in self.scripts if key == [library, action]), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a project's task is started: over which script (None: Isaac Lab's own), and with which environment."""

    script: str | None
    env: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, str], ...]


def project_of(task: Task, projects: Iterable[Project]) -> Project | None:
    """Return the project that a task comes from, None for Isaac Lab's own tasks and installed packages."""
    return next((project for project in projects if task.package in project.packages), None)


def launch(project: Project, generation: int, library: str, action: Action, inherited: str | None) -> Launch:
    """Return what starting a task of ``project`` takes.

    Args:
        project: Where the task comes from.
        generation: Isaac Lab's major version, 2 or 3.
        library: The RL library.
        action: ``train`` or ``play``.
        inherited: PYTHONPATH as the caller has it.

    Raises:
        RequestError: On 2.x, the project has no script for this library and action.
    """
    if generation > 2:
        env = (("PYTHONPATH", _path(HOOK, *project.roots, inherited)), (MODULES, ",".join(project.modules)))
        why = f"{project.path} is put on the import path, and {', '.join(project.modules)} imported"
        return Launch(script=None, env=env, reasons=(("project", why),))
    script = project.script(library, action)
    if script is None:
        raise RequestError(f"{project.path} has no {action} script for {library}", _instead(project, library, action))
    why = f"Isaac Lab 2 imports its own tasks alone: {project.path} has its own {action} script"
    return Launch(script=script, env=(("PYTHONPATH", _path(*project.roots, inherited)),), reasons=(("project", why),))


def _path(*folders: str | None) -> str:
    return ":".join(folder for folder in folders if folder)


def _instead(project: Project, library: str, action: str) -> str:
    others = tuple(name for name, what, _ in project.scripts if what == action)
    if others:
        return f"use --library {either(others)}, or add {project.path}/scripts/{library}/{action}.py"
    return f"Isaac Lab's template makes scripts/{library}/{action}.py in a project; add it there"
