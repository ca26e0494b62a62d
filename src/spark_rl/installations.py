"""Finding Isaac Lab: checkouts of 2.x and 3.0, and environments that hold the 3.0 package."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.errors import RequestError
from spark_rl.model import ActiveEnvironment, Installation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spark_rl.model import Settings

NO_ISAACLAB = (
    "name one with --isaaclab PATH or SPARK_RL_ISAACLAB, or install the kit-less one into a Python 3.12 environment: "
    "pip install 'spark-rl[isaaclab]'"
)

_DIST = re.compile(r"^(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)\.dist-info$")


def select(settings: Settings, cwd: Path, environ: Mapping[str, str] | None = None) -> tuple[Installation, str]:
    """Return the Isaac Lab to use and why it was chosen.

    A path given by flag or setting must be an Isaac Lab; the other places are tried in the order of
    :func:`candidates`.

    Raises:
        RequestError: The given path is no Isaac Lab, or none was found anywhere, or only broken ones.
    """
    setting = settings.get("isaaclab")
    if isinstance(setting.value, str):
        return inspect(Path(setting.value)), f"named by {setting.source}"
    broken: list[RequestError] = []
    for installation in _inspected(candidates(cwd, os.environ if environ is None else environ), broken):
        return installation
    raise broken[0] if broken else RequestError("no Isaac Lab was found", NO_ISAACLAB)


def candidates(cwd: Path, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the places where Isaac Lab may be, in the order in which they count, with the reason in words."""
    for folder in (cwd, *cwd.parents):
        if _has_script(folder):
            yield folder, "the checkout around the working directory"
            break
    if environ.get("ISAACLAB_PATH"):
        yield Path(environ["ISAACLAB_PATH"]), "$ISAACLAB_PATH"
    yield Path(environ.get("HOME") or Path.home()) / "IsaacLab", "~/IsaacLab"
    yield Path(sys.prefix), "the Python that spark-rl runs in"
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environ.get(variable):
            yield Path(environ[variable]), f"the active environment (${variable})"


def found(
    cwd: Path, environ: Mapping[str, str]
) -> tuple[tuple[tuple[Installation, str], ...], tuple[RequestError, ...]]:
    """Return every Isaac Lab in the known places, the one that would be used first, and why others cannot be used."""
    seen: dict[str, tuple[Installation, str]] = {}
    broken: list[RequestError] = []
    for installation, reason in _inspected(candidates(cwd, environ), broken):
        seen.setdefault(installation.path, (installation, reason))
    return tuple(seen.values()), tuple(broken)


def is_isaaclab(path: Path) -> bool:
    """Say whether ``path`` looks like a checkout or an environment with the package."""
    return _has_script(path) or _distribution(path) is not None


def _inspected(places: Iterable[tuple[Path, str]], broken: list[RequestError]) -> Iterator[tuple[Installation, str]]:
    """Yield what can be used; why a place that looks right cannot be is added to ``broken``."""
    for path, reason in places:
        if is_isaaclab(path):
            try:
                yield inspect(path), reason
            except RequestError as error:
                broken.append(error)


def inspect(path: Path) -> Installation:
    """Return what ``path`` is: a checkout, an environment, or that environment's ``bin/python``.

    Raises:
        RequestError: It does not exist, cannot be read, or is no Isaac Lab.
    """
    full = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would leave the environment
    try:
        return _inspect(path, full)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error


def _inspect(given: Path, path: Path) -> Installation:
    if path.is_file() and path.parent.name == "bin":
        path = path.parent.parent
    if not path.exists():
        raise RequestError(f"{given} does not exist", NO_ISAACLAB)
    if _has_script(path):
        return _checkout(path)
    distribution = _distribution(path)
    if distribution is None:
        raise RequestError(
            f"{given} is no Isaac Lab: it has no isaaclab.sh, and no installed isaaclab package",
            "give the folder of a checkout, or of a virtual environment with Isaac Lab 3.0 in it",
        )
    origin = _editable_checkout(distribution)
    return _checkout(origin, python=path / "bin" / "python") if origin else _package(path, distribution)


def active_environments(environ: Mapping[str, str]) -> tuple[ActiveEnvironment, ...]:
    """Return the environments ``isaaclab.sh`` would take its Python from, in its own order."""
    return tuple(
        ActiveEnvironment(
            variable=variable,
            path=environ[variable],
            isaacsim=_has(Path(environ[variable]), "isaacsim"),
            isaaclab=_distribution(Path(environ[variable])) is not None,
        )
        for variable in ("CONDA_PREFIX", "VIRTUAL_ENV")
        if environ.get(variable)
    )


def _checkout(path: Path, python: Path | None = None) -> Installation:
    try:
        version = (path / "VERSION").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} has no VERSION file", "give the top folder of an Isaac Lab checkout") from error
    if not re.match(r"\d+\.\d+", version):
        raise RequestError(f"{path}/VERSION holds no version: {version[:40]!r}", "write the release there, e.g. 2.3.2")
    own = path / ".venv"
    if python is None and version.startswith("3.") and (own / "bin" / "python").exists():
        python = own / "bin" / "python"
    simulator = path / "_isaac_sim"
    bundled = (simulator / "python.sh").is_file()
    environment = python.parent.parent if python else None
    # Isaac Lab 3.0 starts this very interpreter; isaaclab.sh of 2.x may still find Isaac Sim elsewhere.
    decided = environment is not None and not version.startswith("2.")
    return Installation(
        version=version,
        kind="checkout",
        path=str(path),
        python=str(python) if python else None,
        isaacsim=bundled or (environment is not None and _has(environment, "isaacsim")) or (False if decided else None),
        sim_python=_overwritten_python(simulator) if bundled else None,
        sources=tuple(str(folder) for folder in sorted((path / "source").glob("isaaclab*")) if folder.is_dir()),
        sim_version=_bundled_version(simulator) if bundled else None,
        **_contents(environment or (simulator / "kit" / "python" if bundled else None)),
    )


def with_runtime(installation: Installation, environ: Mapping[str, str]) -> Installation:
    """Return a checkout with what is installed in the active environment that its ``isaaclab.sh`` takes.

    Nothing changes where the checkout's own Python is known, or the active environment has no Isaac Sim.
    """
    if installation.kind != "checkout" or installation.python is not None:
        return installation
    active = next((entry for entry in active_environments(environ) if entry.isaacsim), None)
    return replace(installation, **_contents(Path(active.path))) if active else installation


def _contents(environment: Path | None) -> dict[str, Any]:
    """Return the fields of an installation that tell what its Python has."""
    site = next(_sites(environment), None) if environment else None
    if environment is None or site is None:
        return {}
    simulator = site / "isaacsim"
    accepted = any((site / place / "EULA_ACCEPTED").is_file() for place in ("isaacsim/kit", "isaacsim", "omni"))
    return {
        "packages": _packages(environment),
        "python_version": site.parent.name.removeprefix("python"),
        "torch_cuda": _torch_cuda(site),
        **({"eula": accepted} if simulator.is_dir() else {}),
    }


def _torch_cuda(site: Path) -> str | None:
    """Return the CUDA that torch was built for, ``cpu`` for none, from the file that torch itself reads."""
    try:
        text = (site / "torch" / "version.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(r"^cuda\b[^=\n]*=\s*(?:None|'([\d.]+)'|\"([\d.]+)\")", text, flags=re.MULTILINE)
    return (match[1] or match[2] or "cpu") if match else None


def _bundled_version(simulator: Path) -> str | None:
    try:
        text = (simulator / "VERSION").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    match = re.match(r"\d+(\.\d+)*", text)
    return match[0] if match else None


def _package(path: Path, distribution: Path) -> Installation:
    match = _DIST.match(distribution.name)
    site = distribution.parent
    return Installation(
        version=match["version"] if match else "0",
        kind="package",
        path=str(path),
        python=str(path / "bin" / "python"),
        isaacsim=_has(path, "isaacsim"),
        sources=(str(site),),
        **_contents(path),
    )


def _has_script(folder: Path) -> bool:
    try:
        return (folder / "isaaclab.sh").is_file()
    except OSError:  # a folder that may not be searched
        return False


def _sites(environment: Path) -> Iterator[Path]:
    with suppress(OSError):  # a folder that may not be searched
        yield from sorted(environment.glob("lib/python3*/site-packages"))


def _distribution(environment: Path) -> Path | None:
    for site in _sites(environment):
        for folder in site.glob("isaaclab-*.dist-info"):
            return folder
    return None


def _has(environment: Path, package: str) -> bool:
    return any((site / package).is_dir() for site in _sites(environment))


def _packages(environment: Path) -> tuple[tuple[str, str], ...]:
    """Return (distribution, version) of everything installed, from folder names alone."""
    names = (entry for site in _sites(environment) for entry in os.listdir(site) if entry.endswith(".dist-info"))  # noqa: PTH208 - a tenth of iterdir's time
    matches = (_DIST.match(name) for name in names)
    return tuple(sorted((match["name"].lower().replace("_", "-"), match["version"]) for match in matches if match))


def _editable_checkout(distribution: Path) -> Path | None:
    """Return the checkout that an editable install points at.

    Its metadata holds the extension's version (0.54 in Isaac Lab 2.3), which says nothing about the release.
    """
    try:
        url = json.loads((distribution / "direct_url.json").read_text(encoding="utf-8"))["url"]
        from urllib.parse import unquote, urlparse

        source = Path(unquote(urlparse(url).path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return next((folder for folder in (source, *source.parents) if _has_script(folder)), None)


def _overwritten_python(simulator: Path) -> str | None:
    """Return the interpreter behind a ``python.sh`` that throws the caller's LD_PRELOAD away (aarch64 5.1 and 6.0)."""
    text = (simulator / "python.sh").read_text(encoding="utf-8", errors="replace")
    exports = re.findall(r"^\s*(?:export\s+)?LD_PRELOAD=(.*)$", text, flags=re.MULTILINE)
    lost = any(not re.search(r"\$\{?LD_PRELOAD", value) for value in exports)
    return str(simulator / "kit" / "python" / "bin" / "python3") if lost else None
