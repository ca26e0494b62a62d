"""Catalogues from disk: scanned from an installation's sources, remembered between calls, or shipped with spark-rl."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl import __version__
from spark_rl.catalog import Catalog, Rules, overlaid
from spark_rl.names import Renames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_rl.model import Installation, Task

__all__ = ["described", "load", "read_sources", "renames", "shipped"]

_DATA = Path(__file__).parent / "data"
_KINDS = (".py", ".yaml")
_SKIPPED = frozenset({"__pycache__", "test", "tests", "docs"})
_TASKS = "isaaclab_tasks"
_CACHE = f"spark-rl/catalogue-cache/1 {__version__}"


def load(installation: Installation, cache_dir: Path | None) -> Catalog:
    """Return the tasks of an installation.

    Its sources are scanned, and scanned again when a file of them changed. Where they cannot be read, the catalogue
    shipped for the nearest version serves, and ``origin`` says so.

    Args:
        installation: The Isaac Lab in use.
        cache_dir: Folder for scans that are still true, created when needed; None to scan every time. A folder that
            cannot be written is no error.
    """
    packages = tuple(_packages(installation))
    files = [file for package in packages for file in _files(package)]
    if not files:
        return shipped(installation.version)
    stamp = _stamp(installation.version, files)
    cache = cache_dir / f"{sha256(repr(packages).encode()).hexdigest()[:16]}.json" if cache_dir else None
    remembered = _remembered(cache, stamp) if cache else None
    if remembered is not None:
        return remembered
    catalog = _scanned(installation, packages)
    if not catalog.tasks:
        return shipped(installation.version)
    if cache:
        _remember(cache, stamp, catalog)
    return catalog


def shipped(version: str) -> Catalog:
    """Return the catalogue that spark-rl ships for a version, or for the nearest lower one of the same generation."""
    known = {_order(path.stem): path for path in (_DATA / "catalogue").glob("*.json")}
    wanted = _order(version)
    generation = [order for order in known if order[0] == wanted[0]] or list(known)
    lower = [order for order in generation if order <= wanted]
    path = known[max(lower) if lower else min(generation)]
    catalog = Catalog.from_document(json.loads(path.read_text(encoding="utf-8")))
    return replace(catalog, version=version, origin=f"the list of {path.stem} that comes with spark-rl")


def renames() -> Renames:
    """Return the table of task ids of 2.x and 3.0."""
    return Renames.from_document(json.loads((_DATA / "renames.json").read_text(encoding="utf-8")))


def described(tasks: Iterable[Task], version: str) -> tuple[Task, ...]:
    """Return tasks with robot, category, difficulty and summary; on 2.x also with the only physics there is."""
    rules = Rules.from_document(json.loads((_DATA / "tasks.json").read_text(encoding="utf-8")))
    tasks = tuple(rules.describe(task) for task in tasks)
    if _order(version)[0] > 2:
        return tasks
    return tuple(replace(task, physics="isaacsim_physx", kitless=False) for task in tasks)


def read_sources(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return (path, text) of the source files below a folder of packages whose task registrations count."""
    return tuple(_texts(_packages_in(folder)))


def _scanned(installation: Installation, packages: tuple[Path, ...]) -> Catalog:
    from spark_rl.scanning import scan

    found = scan(_texts(packages))
    tasks = found.tasks
    if installation.generation > 2:
        tasks = overlaid(tasks, shipped(installation.version))
    return Catalog(
        version=installation.version,
        tasks=described(tasks, installation.version),
        origin=f"the sources of {installation.path}",
        undecided=found.undecided,
    )


def _texts(packages: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for package in packages:
        for path, _, _ in _files(package):
            with suppress(OSError, UnicodeDecodeError):
                yield Path(path).relative_to(package.parent).as_posix(), Path(path).read_text(encoding="utf-8")


def _packages(installation: Installation) -> Iterator[Path]:
    """Yield the package folders whose registrations Isaac Lab's train and play see."""
    found = dict.fromkeys(package for source in installation.sources for package in _packages_in(Path(source)))
    if installation.python and installation.generation > 2 and installation.kind == "checkout":
        environment = Path(installation.python).parent.parent
        for site in environment.glob("lib/python3*/site-packages"):
            found |= dict.fromkeys(_entry_points(site))
    yield from found


def _packages_in(folder: Path) -> Iterator[Path]:
    """Yield the packages in a source folder, or in each ``source/*`` of a project folder.

    Of Isaac Lab's own packages only the tasks count: its commands import no other. Of an environment's site-packages
    only those and the packages that announce tasks count.
    """
    if any(folder.glob("isaaclab*.dist-info")):
        yield from (path for path in sorted(folder.glob(f"{_TASKS}*")) if (path / "__init__.py").is_file())
        yield from _entry_points(folder)
        return
    for root in (folder, *sorted(folder.glob("source/*"))):
        for init in sorted(root.glob("*/__init__.py")):
            package = init.parent
            own = package.name.startswith("isaaclab") and not package.name.startswith(_TASKS)
            if not own and package.name not in _SKIPPED:
                yield package


def _entry_points(site: Path) -> Iterator[Path]:
    """Yield the packages in an environment that announce tasks: entry points of the group ``isaaclab.tasks``."""
    for folder in sorted(name for name in os.listdir(site) if name.endswith(".dist-info")):  # noqa: PTH208 - speed
        with suppress(OSError, UnicodeDecodeError):
            file = Path(f"{site}/{folder}/entry_points.txt")
            for name in _announced(file.read_text(encoding="utf-8")):
                yield from _located(name, site, file.parent)


def _announced(text: str) -> set[str]:
    if "isaaclab.tasks" not in text:
        return set()
    section = re.search(r"^\[isaaclab\.tasks\]\s*$(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^[^=#;\n]+=\s*(\w+)", section[1], re.MULTILINE)) if section else set()


def _located(name: str, site: Path, dist_info: Path) -> Iterator[Path]:
    """Yield the folder of a top-level package: in the environment, or where an editable installation points to."""
    from urllib.parse import unquote, urlsplit

    roots = [site]
    with suppress(OSError, ValueError, KeyError):
        origin = urlsplit(json.loads((dist_info / "direct_url.json").read_text(encoding="utf-8"))["url"])
        project = Path(unquote(origin.path))
        roots += [project, project / "src"] if origin.scheme == "file" else []
    yield from [root / name for root in roots if (root / name / "__init__.py").is_file()][:1]


def _files(package: str | Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, change time (ns) and size of each source file of a package, in a fixed order."""
    try:
        entries = sorted(os.scandir(package), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(_KINDS):
            with suppress(OSError):
                stat = entry.stat()
                yield entry.path, stat.st_mtime_ns, stat.st_size
        elif entry.name not in _SKIPPED and entry.is_dir():
            yield from _files(entry.path)


def _stamp(version: str, files: list[tuple[str, int, int]]) -> str:
    """Return what changes whenever a scan would: the files scanned, and those of spark-rl that decide the result."""
    own = [*_files(Path(__file__).parent), *((str(path), 0, path.stat().st_size) for path in _DATA.rglob("*.json"))]
    return sha256(repr((version, files, own)).encode()).hexdigest()


def _remembered(cache: Path, stamp: str) -> Catalog | None:
    with suppress(OSError, ValueError, TypeError):
        document = json.loads(cache.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("cache") == _CACHE and document.get("stamp") == stamp:
            return Catalog.from_document(document)
    return None


def _remember(cache: Path, stamp: str, catalog: Catalog) -> None:
    document: dict[str, Any] = {"cache": _CACHE, "stamp": stamp} | catalog.to_document()
    import tempfile

    unfinished: Path | None = None
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
            unfinished = Path(file.name)
            json.dump(document, file, separators=(",", ":"))
        unfinished.replace(cache)
    except OSError:
        if unfinished:
            with suppress(OSError):
                unfinished.unlink()


def _order(version: str) -> tuple[int, ...]:
    """Return the release number of a version, to compare: ``2.3.2.post1`` counts as 2.3.2."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
