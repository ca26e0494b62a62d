"""Finding task projects on disk: the one around the working directory, and those that settings name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.errors import RequestError
from spark_rl.external import Project
from spark_rl.model import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_rl.model import Installation, Settings

__all__ = ["around", "beside", "find", "inspect", "named"]

_GROUP = "isaaclab.tasks"
_LAYOUTS = ("src", "", "exts/*", "source/*", "source/*/src")
"""Where packages lie in a project: Isaac Lab's templates of 3.0 and 2.x, and what people make of them."""


def find(cwd: Path, named: Iterable[str] = ()) -> tuple[Project, ...]:
    """Return the projects whose tasks count: those named, and the one around the working directory.

    Raises:
        RequestError: A folder that is named is not there, or holds no package.
    """
    nearby = around(cwd)
    found = [inspect(Path(os.path.abspath(Path(name).expanduser()))) for name in named]  # noqa: PTH100 - keep links
    unique = {project.path: project for project in (*found, *((nearby,) if nearby else ()))}
    return tuple(unique.values())


def named(settings: Settings) -> tuple[str, ...]:
    """Return the project folders of the setting ``tasks``, which has a colon between two folders."""
    value = next((entry.value for entry in settings.entries if entry.name == "tasks"), None)
    return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else ()


def around(cwd: Path) -> Project | None:
    """Return the project that ``cwd`` is in; a folder counts when it announces tasks or looks like the template's.

    Isaac Lab's own checkout is none.
    """
    for folder in (cwd, *cwd.parents):
        if (folder / "isaaclab.sh").is_file():
            return None
        if _announced(folder) or _is_template(folder):
            return _project(folder)
    return None


def inspect(folder: Path) -> Project:
    """Return the project in a folder that somebody named.

    Raises:
        RequestError: The folder is not there, or holds no package.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder} is no folder", "name the top folder of a project with Isaac Lab tasks")
    project = _project(folder)
    if project is None:
        raise RequestError(f"{folder} holds no Python package", "name a project with src/NAME or source/NAME/NAME")
    return project


def beside(installation: Installation, found: Iterable[Project]) -> Installation:
    """Return the installation with the projects' folders among its sources: :func:`catalogues.load` reads them too."""
    roots = dict.fromkeys(root for project in found for root in project.roots)
    return replace(installation, sources=(*installation.sources, *(root for root in roots)))


def _project(folder: Path) -> Project | None:
    packages = dict(_packages(folder))
    if not packages:
        return None
    announced = _announced(folder)
    own = {module.partition(".")[0] for module in announced} & set(packages)
    names = [name for name in packages if not own or name in own]
    return Project(
        path=str(folder),
        roots=tuple(dict.fromkeys(str(packages[name]) for name in names)),
        packages=tuple(names),
        modules=announced if own else tuple(_registering(name, packages[name] / name) for name in names),
        scripts=tuple(_scripts(folder)),
    )


def _packages(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each top-level package and the folder to import it from; the first layout that has any counts."""
    for layout in _LAYOUTS:
        roots = sorted(folder.glob(layout)) if layout else [folder]
        inits = [init for root in roots for init in sorted(root.glob("*/__init__.py"))]
        found = [init.parent for init in inits if init.parent.name not in ("tests", "test", "scripts", "docs")]
        if found:
            yield from ((package.name, package.parent) for package in found)
            return


def _registering(name: str, package: Path) -> str:
    return f"{name}.tasks" if (package / "tasks" / "__init__.py").is_file() else name


def _is_template(folder: Path) -> bool:
    """Whether a folder has the layout of Isaac Lab 2's template: extensions in ``source``, scripts beside them."""
    return (folder / "scripts").is_dir() and any(folder.glob("source/*/config/extension.toml"))


def _announced(folder: Path) -> tuple[str, ...]:
    """Return the modules that a project's pyproject.toml announces to Isaac Lab 3.0."""
    text = _text(folder / "pyproject.toml")
    if _GROUP not in text:
        return ()
    import tomllib

    try:
        group: Any = tomllib.loads(text)["project"]["entry-points"][_GROUP]
        return tuple(str(value).partition(":")[0] for value in group.values())
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        return ()


def _scripts(folder: Path) -> Iterator[tuple[str, str, str]]:
    for base in ("scripts", "scripts/reinforcement_learning"):
        for library in LIBRARIES:
            for action in ("train", "play"):
                script = folder / base / library / f"{action}.py"
                if script.is_file():
                    yield library, action, str(script)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
