"""What a run is made of: the versions of what it runs on, and the git state of the source its task comes from."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spark_rl.external import Project
    from spark_rl.model import Installation

GIT_TIMEOUT_S = 2.0
"""All that git may take of a start."""

PATHS_KEPT = 20
"""Dirty paths that a record names; of the others it tells the number."""

DISTRIBUTIONS: Mapping[str, str] = {
    "rsl_rl": "rsl-rl-lib",
    "rl_games": "rl-games",
    "skrl": "skrl",
    "sb3": "stable-baselines3",
}
"""RL library to the distribution that holds it."""

_OTHERS = ("isaacsim", "torch", "gymnasium", "hydra-core", "numpy", "warp-lang", "newton", "mujoco-warp")
_DIST = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)\.dist-info")
_LOGIN = re.compile(r"(?<=://)[^/\s]*@")
_MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Variables that a git hook sets; they would point at another repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """A working tree at one moment.

    ``branch`` is None on a detached head, ``commit`` None before the first one. ``dirty`` names up to
    :data:`PATHS_KEPT` paths that differ from the commit or are new, ``dirty_count`` tells how many there are, None
    where git took too long to say. ``remote`` is where it was cloned from, without a login.
    """

    root: str
    commit: str | None = None
    branch: str | None = None
    dirty: tuple[str, ...] = ()
    dirty_count: int | None = None
    remote: str | None = None


def source_folder(project: Project | None, installation: Installation, cwd: str) -> Path:
    """Return the folder a task's source lies in: its project, else the checkout, else where the command was given."""
    if project is not None:
        return Path(project.path)
    return Path(installation.path if installation.kind == "checkout" else cwd)


def versions(installation: Installation, library: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return (name, version) of Isaac Lab, the RL library, torch and what else decides; unknown ones are left out.

    They are read from the names of ``dist-info`` folders. The RL library goes by spark-rl's name for it.
    """
    installed = dict(_installed(_sites(installation, environ))) | dict(installation.packages)
    known = {"isaaclab": installation.version, library: installed.get(DISTRIBUTIONS.get(library, library))}
    known |= {name: installed.get(name) for name in _OTHERS}
    known["isaacsim"] = known["isaacsim"] or _bundled_simulator(installation)
    return tuple((name, version) for name, version in known.items() if version)


def _sites(installation: Installation, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield where the interpreter that ``isaaclab.sh`` chooses finds its packages: it asks in this order."""
    for variable in ("CONDA_PREFIX", "VIRTUAL_ENV"):
        if environ.get(variable):
            yield from Path(environ[variable]).glob("lib/python3*/site-packages")
    simulator = Path(installation.path) / "_isaac_sim"
    yield from simulator.glob("kit/python/lib/python3*/site-packages")
    yield from simulator.glob("ext*/*ml_archive*/pip_prebundle")


def _installed(sites: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield (distribution, version) of all sites, the first site's last, so that a dictionary keeps those."""
    for site in reversed(list(sites)):
        try:
            names = os.listdir(site)  # noqa: PTH208 - a tenth of iterdir's time
        except OSError:
            continue
        for match in filter(None, map(_DIST.fullmatch, names)):
            yield match["name"].lower().replace("_", "-"), match["version"]


def _bundled_simulator(installation: Installation) -> str | None:
    try:
        text = (Path(installation.path) / "_isaac_sim" / "VERSION").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return text.strip().partition("+")[0][:40] or None


def git_state(folder: Path) -> GitState | None:
    """Return the git state of the working tree around ``folder``; None where there is none, or no git.

    Nothing is written: the index stays as it is, also for another git at work, and no hook of the repository runs.
    """
    deadline = time.monotonic() + GIT_TIMEOUT_S
    root = _git(folder, deadline, "rev-parse", "--show-toplevel")
    if not root:
        return None
    status = _git(folder, deadline, "status", "--porcelain", "-z", "--untracked-files=normal", after=0.2)
    dirty = None if status is None else tuple(_paths(status))
    remote = _git(folder, deadline, "config", "--get", "remote.origin.url")
    return GitState(
        root=root,
        commit=_git(folder, deadline, "rev-parse", "--verify", "--quiet", "HEAD") or None,
        branch=_git(folder, deadline, "symbolic-ref", "--short", "--quiet", "HEAD") or None,
        dirty=(dirty or ())[:PATHS_KEPT],
        dirty_count=None if dirty is None else len(dirty),
        remote=_LOGIN.sub("", remote) if remote else None,
    )


def _git(folder: Path, deadline: float, *words: str, after: float = 0.0) -> str | None:
    """Return what git prints, None when it fails or the time is over; ``after`` seconds are left for what follows."""
    environ = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *words],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.01, deadline - after - time.monotonic()),
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").rstrip("\n")


def _paths(status: str) -> Iterator[str]:
    """Yield the paths of ``git status --porcelain -z``; a renamed one is followed by its old name."""
    entries = iter(status.split("\0"))
    for entry in entries:
        if entry:
            yield entry[3:]
            if "R" in entry[:2] or "C" in entry[:2]:
                next(entries, None)
