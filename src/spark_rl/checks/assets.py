"""Where robots and scenes come from."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Host
    from spark_rl.supplies import Need

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


def absent(task: str, folder: str, missing: tuple[Need, ...], others: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return what a local asset root lacks.

    Args:
        task: Id of the task.
        folder: The asset root.
        missing: What the task's configuration names below the root, and is not there.
        others: Addresses that it names on hosts which the root does not take the place of.
    """
    fatal = tuple(need.path for need in missing if need.decides)
    harmless = tuple(need.path for need in missing if not need.decides)
    hint = f"fetch it where there is network: spark-rl assets fetch --task {task} --to {shlex.quote(folder)}"
    needed = f"{task} needs what the asset root {folder} does not hold: {_listed(fatal)}"
    looks = f"the asset root {folder} lacks what {task} is only shown with: {_listed(harmless)}"
    return (
        *([Finding(code="assets-missing", level="error", message=needed, hint=hint)] if fatal else ()),
        *([Finding(code="assets-looks", level="warning", message=looks, hint=hint)] if harmless else ()),
        *_elsewhere(task, folder, others),
    )


def _listed(paths: tuple[str, ...]) -> str:
    more = len(paths) - _NAMED
    return ", ".join(paths[:_NAMED]) + (f" and {more} more" if more > 0 else "")


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
