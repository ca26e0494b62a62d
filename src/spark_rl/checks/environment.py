"""The caller's shell: what an active environment or a search path does to the run's Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Host, Installation, Plan

_PYTHON = r"/python(?P<version>3\.\d+)/(?:site|dist)-packages"


def lines(host: Host) -> tuple[str, ...]:
    """Return the facts in words."""
    display = {True: "a display", False: "no display"}.get(host.display, "") if host.display is not None else ""
    named = ("CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES")
    told = (f"{name}={dict(host.environ)[name]}" for name in named if name in dict(host.environ))
    text = ", ".join(word for word in (display, *told) if word)
    return (text,) if text else ()


def findings(host: Host, installation: Installation | None) -> tuple[Finding, ...]:
    """Return what may lead a run astray."""
    return (*_search_path(host, installation), *_base(host))


def for_run(decided: Plan, host: Host) -> tuple[Finding, ...]:
    """Return what will lead a plan astray; what it hides from its child does not."""
    shell = any(word.endswith("isaaclab.sh") for word in decided.argv[:1])
    hidden = "CONDA_PREFIX" in decided.env_unset or "CONDA_PREFIX" in dict(decided.env)
    base = _base(host) if shell and not hidden else ()
    path = () if "PYTHONPATH" in decided.env_unset else _search_path(host, decided.isaaclab)
    return (*path, *base)


def _base(host: Host) -> tuple[Finding, ...]:
    if host.variable("CONDA_DEFAULT_ENV") != "base" or host.variable("CONDA_PREFIX") is None:
        return ()
    return (
        Finding(
            code="conda-base",
            level="warning",
            message="conda's base environment is active, and isaaclab.sh takes an active environment's Python",
            hint="conda deactivate; for good: conda config --set auto_activate_base false",
        ),
    )


def _search_path(host: Host, installation: Installation | None) -> tuple[Finding, ...]:
    """Return that PYTHONPATH brings packages of ROS or of another Python into the run."""
    own = installation.python_version if installation else None
    entries = (host.variable("PYTHONPATH") or "").split(":")
    ros = next((entry for entry in entries if entry.startswith("/opt/ros/")), None)
    versions = ((entry, match["version"]) for entry in entries if (match := re.search(_PYTHON, entry)))
    foreign = next((entry for entry, version in versions if own is not None and version != own), None)
    if ros is None and foreign is None:
        return ()
    whose = "ROS's packages" if ros else "packages of another Python"
    return (
        Finding(
            code="pythonpath",
            level="warning",
            message=f"PYTHONPATH brings {whose} into the run: {ros or foreign}",
            hint="unset PYTHONPATH, in a shell that has not sourced ROS's setup.bash",
        ),
    )
