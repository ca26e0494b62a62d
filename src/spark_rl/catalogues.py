"""Catalogues from disk: scanned from an installation's sources, remembered between calls, or shipped with spark-rl."""

from __future__ import annotations

import json
import os
import re
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl import __version__
from spark_rl.catalog import MIMIC, Catalog, Rules, overlaid
from spark_rl.names import Renames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_rl.model import Installation, Task

__all__ = ["at_once", "described", "digest", "load", "read_sources", "remember", "renames", "shipped"]

_DATA = Path(__file__).parent / "data"
_KINDS = (".py", ".yaml")
_SKIPPED = frozenset({"__pycache__", "test", "tests", "docs"})
_TASKS = "isaaclab_tasks"
_OWN = (_TASKS, MIMIC)
_CACHE = f"spark-rl/catalogue-cache/2 {__version__}"


def load(installation: Installation, cache_dir: Path | None) -> Catalog:
    """Return the tasks of an installation; nothing is written.

    Its sources are scanned, and scanned again when a file of them changed. A text that is that of a release whose
    catalogue comes with spark-rl needs no scan. Where sources cannot be read, the catalogue shipped for the nearest
    version serves, and ``origin`` says so.

    Args:
        installation: The Isaac Lab in use; task projects beside it are among its ``sources``.
        cache_dir: Folder of scans that :func:`remember` wrote; None to scan every time.
    """
    packages = tuple(_packages(installation))
    files = [file for package in packages for file in _files(package)]
    if not files:
        return shipped(installation.version)
    stamp = _stamp(installation.version, files)
    catalog = _remembered(_cache_file(installation, cache_dir), stamp)
    return catalog or _scanned(installation, packages, stamp)


def remember(catalog: Catalog, installation: Installation, cache_dir: Path) -> None:
    """Write what a fresh scan found, so that the next :func:`load` need not scan.

    A folder that cannot be written is no error.

    Args:
        catalog: What :func:`load` returned, as it returned it.
        installation: What it was loaded for.
        cache_dir: Folder for scans, created when needed.
    """
    file = _cache_file(installation, cache_dir)
    if catalog.stamp is None or file is None:
        return
    import tempfile

    body = json.dumps(catalog.to_document(), separators=(",", ":"))
    unfinished: Path | None = None
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache_dir, suffix=".tmp", delete=False, encoding="utf-8") as out:
            unfinished = Path(out.name)
            out.write(f"{_head(catalog.stamp, body)}\n{body}")
        unfinished.replace(file)
    except OSError:
        if unfinished:
            with suppress(OSError):
                unfinished.unlink()


def at_once(installation: Installation, cache_dir: Path | None) -> Catalog:
    """Return the tasks as they were last seen, without looking at the sources: what a keystroke has time for."""
    return _remembered(_cache_file(installation, cache_dir), None) or shipped(installation.version)


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


def digest(sources: Iterable[tuple[str, str]]) -> str:
    """Return what tells the texts of Isaac Lab's own packages of tasks from any other: a SHA-256 over all of them."""
    from hashlib import sha256

    own = sorted((path, text) for path, text in sources if path.startswith(_OWN))
    return sha256(json.dumps(own).encode()).hexdigest()


def _scanned(installation: Installation, packages: tuple[Path, ...], stamp: str) -> Catalog:
    known, texts = shipped(installation.version), dict(_texts(packages))
    origin = f"the sources of {installation.path}"
    if all(path.startswith(_OWN) for path in texts):
        release = json.loads((_DATA / "releases.json").read_text(encoding="utf-8")).get(digest(texts.items()))
        if release is not None:
            tasks = shipped(release).tasks
            return Catalog(version=installation.version, tasks=tasks, origin=origin, stamp=stamp)
    from spark_rl.scanning import scan

    found = scan(texts.items())
    if not found.tasks:
        return known
    tasks = overlaid(found.tasks, known) if installation.generation > 2 else found.tasks
    tasks = described(tasks, installation.version)
    foreign = [task for task in tasks if not task.package.startswith(_OWN)]
    if not any(task.package.startswith(_TASKS) for task in tasks):
        tasks, origin = tuple(sorted((*known.tasks, *foreign), key=lambda task: task.id)), known.origin
    origin = ", ".join((origin, *sorted({task.package for task in foreign})))
    return Catalog(version=installation.version, tasks=tasks, origin=origin, undecided=found.undecided, stamp=stamp)


def _texts(packages: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for package in packages:
        for path, _, _ in _files(package):
            with suppress(OSError, UnicodeDecodeError):
                yield Path(path).relative_to(package.parent).as_posix(), Path(path).read_text(encoding="utf-8")


def _packages(installation: Installation) -> Iterator[Path]:
    """Yield the package folders whose registrations count."""
    found = dict.fromkeys(package for source in installation.sources for package in _packages_in(Path(source)))
    if installation.python and installation.generation > 2 and installation.kind == "checkout":
        environment = Path(installation.python).parent.parent
        for site in environment.glob("lib/python3*/site-packages"):
            found |= dict.fromkeys(_entry_points(site, _names(site)))
    yield from found


def _packages_in(folder: Path) -> Iterator[Path]:
    """Yield the packages in a source folder, or in each ``source/*`` of a project folder.

    Of Isaac Lab's own packages only those that register tasks count, of an environment's site-packages only these and
    the packages that announce tasks.
    """
    names = _names(folder)
    if any(name.startswith("isaaclab") and name.endswith(".dist-info") for name in names):
        tasks = (folder / name for name in names if name.startswith(_OWN))
        yield from (path for path in tasks if (path / "__init__.py").is_file())
        yield from _entry_points(folder, names)
        return
    for root in (folder, *(folder / "source" / name for name in _names(folder / "source"))):
        for package in (root / name for name in _names(root)):
            own = package.name.startswith("isaaclab") and not package.name.startswith(_OWN)
            if not own and package.name not in _SKIPPED and (package / "__init__.py").is_file():
                yield package


def _names(folder: Path) -> list[str]:
    """Return the sorted names in a folder, none where it cannot be read; pathlib takes ten times as long."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def _entry_points(site: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield the packages in an environment that announce tasks: entry points of the group ``isaaclab.tasks``."""
    for folder in (name for name in names if name.endswith(".dist-info")):
        with suppress(OSError, UnicodeDecodeError), open(f"{site}/{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123
            text = file.read()
            if b"isaaclab.tasks" in text:
                for name in _announced(text.decode()):
                    yield from _located(name, site, site / folder)


def _announced(text: str) -> set[str]:
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
    here = Path(__file__).parent
    with os.scandir(here) as own, os.scandir(here / "data") as data:
        deciding = sorted((entry.name, entry.stat().st_mtime_ns) for entry in (*own, *data) if entry.is_file())
    state = repr((version, files, deciding)).encode()
    return f"{len(files)} files {zlib.crc32(state):08x} {zlib.adler32(state):08x}"


def _cache_file(installation: Installation, cache_dir: Path | None) -> Path | None:
    if cache_dir is None:
        return None
    whose = repr((installation.path, installation.python, installation.sources))
    return cache_dir / f"tasks-{zlib.crc32(whose.encode()):08x}.json"


def _head(stamp: str, body: str) -> str:
    return json.dumps({"cache": _CACHE, "stamp": stamp, "crc": zlib.crc32(body.encode())})


def _remembered(file: Path | None, stamp: str | None) -> Catalog | None:
    """Return what a cache file holds, None where it is damaged, foreign, or of another state than ``stamp``."""
    if file is None:
        return None
    with suppress(OSError, ValueError, TypeError, KeyError):
        head, _, body = file.read_text(encoding="utf-8").partition("\n")
        found = json.loads(head)["stamp"]
        if head == _head(found, body) and stamp in (None, found):
            return Catalog.from_document(json.loads(body))
    return None


def _order(version: str) -> tuple[int, ...]:
    """Return the release number of a version, to compare: ``2.3.2.post1`` counts as 2.3.2."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
