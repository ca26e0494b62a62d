"""Where robots and scenes come from."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Host

_NAMED = 5
"""Missing files that a message names."""


def lines(host: Host) -> tuple[str, ...]:
    """Return the facts in words."""
    root = host.variable("ISAACSIM_ASSET_ROOT")
    if root is not None:
        return (f"ISAACSIM_ASSET_ROOT: {root}",)
    if host.asset_host is None:
        return ()
    return ("NVIDIA's host answers",) if host.asset_host else ("NVIDIA's host does not answer",)


def findings(host: Host) -> tuple[Finding, ...]:
    """Return what will hinder loading."""
    root = host.variable("ISAACSIM_ASSET_ROOT")
    if root is not None and host.asset_root is False:
        return (
            Finding(
                code="assets-empty",
                level="warning",
                message=f"the asset root {root} has no folder Isaac",
                hint="name the folder that holds Isaac/IsaacLab",
            ),
        )
    if root is None and host.asset_host is False:
        return (
            Finding(
                code="asset-host",
                level="warning",
                message="without NVIDIA's asset host only cartpole and cart double pendulum of Isaac Lab 3.0 run",
                hint="name a local copy: --assets PATH; behind a proxy: export HTTPS_PROXY=http://HOST:PORT",
            ),
        )
    return ()


def absent(task: str, folder: str, missing: tuple[str, ...], others: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return what a local asset root lacks.

    Args:
        task: Id of the task.
        folder: The asset root.
        missing: Paths that the task's configuration names below the root, and that are not there.
        others: Addresses that it names on hosts which the root does not take the place of.
    """
    return (*_missing(task, folder, missing), *_elsewhere(task, folder, others))


def _missing(task: str, folder: str, missing: tuple[str, ...]) -> tuple[Finding, ...]:
    if not missing:
        return ()
    named = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
    return (
        Finding(
            code="assets-missing",
            level="error",
            message=f"{task} needs what the asset root {folder} does not hold: {named}",
            hint=f"fetch it where there is network: spark-rl assets fetch --task {task} --to {shlex.quote(folder)}",
        ),
    )


def _elsewhere(task: str, folder: str, others: tuple[str, ...]) -> tuple[Finding, ...]:
    if not others:
        return ()
    hosts = dict.fromkeys("/".join(address.split("/")[:3]) for address in others)
    return (
        Finding(
            code="assets-elsewhere",
            level="warning",
            message=f"{task} also reads from {' and '.join(hosts)}, which {folder} does not take the place of",
            hint=f"see which files: spark-rl assets status --task {task}",
        ),
    )
