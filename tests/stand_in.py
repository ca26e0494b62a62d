"""Stand-ins for installations: the files spark-rl looks at, and nothing that could run a simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = ("rsl_rl", "rl_games", "skrl", "sb3")


def checkout(folder: Path, version: str, *, simulator: bool = True) -> Path:
    """Make a checkout without task sources, so that the shipped catalogue of its version serves."""
    folder.mkdir(parents=True)
    (folder / "VERSION").write_text(f"{version}\n")
    script = folder / "isaaclab.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    if simulator:
        (folder / "_isaac_sim").mkdir()
        (folder / "_isaac_sim" / "python.sh").write_text('#!/bin/sh\nexec python3 "$@"\n')
    return folder


def environment(folder: Path, packages: dict[str, str], *, python: str = "3.12") -> Path:
    """Make a virtual environment's skeleton with distributions installed, name to version."""
    site = folder / "lib" / f"python{python}" / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text("#!/bin/sh\nexit 0\n")
    (folder / "bin" / "python").chmod(0o755)
    for name, version in packages.items():
        (site / f"{name}-{version}.dist-info").mkdir()
        (site / name).mkdir()
    return folder


def kitless(folder: Path, **packages: str) -> Path:
    """Make an environment with Isaac Lab 3.0.0 and no Isaac Sim."""
    return environment(folder, {"isaaclab": "3.0.0", "moviepy": "1.0.3", **packages})
