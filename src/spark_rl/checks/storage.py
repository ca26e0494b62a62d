"""Where a run writes: logs, caches, temporary files, shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.gpus import gib
from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Folder, Host, Plan

_NAMES = {"logs": "logs", "cache": "caches", "temp": "temporary files"}
_SHORT = {"logs": "logs", "cache": "caches", "temp": "temp", "shm": "/dev/shm"}  # noqa: S108 - a name to show
_FULL_MIB = {"logs": 512, "cache": 256, "temp": 64}
_LOW_MIB = {"logs": 5 * 1024, "cache": 2 * 1024, "temp": 512}
"""Free space under which a run fails, and under which a long one may."""

SHM_MIB = 1024
"""Shared memory that ranks on one machine exchange through; a container has 64 MiB unless told otherwise."""


def lines(host: Host) -> tuple[str, ...]:
    """Return the free space in words, purposes on one disk together."""
    told = (f"{_SHORT.get(folder.purpose, folder.purpose)} {gib(folder.free_mib)}" for folder in host.folders)
    return (f"free: {', '.join(told)}",) if host.folders else ()


def findings(host: Host) -> tuple[Finding, ...]:
    """Return what is wrong with any folder."""
    found = tuple(finding for folder in host.folders for finding in _folder(folder))
    return (*found, *(_shared(host) if len(host.gpus) > 1 else ()))


def for_run(decided: Plan, host: Host, *, ranks: int) -> tuple[Finding, ...]:
    """Return what is wrong with the folders that a plan writes to."""
    written = (folder for folder in host.folders if folder.purpose != "logs" or folder.path == f"{decided.cwd}/logs")
    found = tuple(finding for folder in written for finding in _folder(folder))
    return (*found, *(_shared(host) if ranks > 1 else ()))


def _folder(folder: Folder) -> tuple[Finding, ...]:
    if folder.purpose not in _FULL_MIB:
        return ()
    name = _NAMES[folder.purpose]
    if not folder.writable:
        return (
            Finding(
                code=f"{folder.purpose}-unwritable",
                level="error" if folder.purpose == "logs" else "warning",
                message=f"{folder.path} cannot be written, and {name} go there",
                hint=_WRITABLE[folder.purpose].format(folder.path),
            ),
        )
    if folder.free_mib >= _LOW_MIB[folder.purpose]:
        return ()
    full = folder.free_mib < _FULL_MIB[folder.purpose]
    return (
        Finding(
            code="disk-full" if full else "disk-low",
            level="error" if full else "warning",
            message=f"{_left(folder.free_mib)} left for {name} in {folder.path}",
            hint=f"free some: du -xh -d1 {folder.path} | sort -h | tail",
        ),
    )


def _left(mib: int) -> str:
    return f"only {mib} MiB are" if mib < 1024 else f"only {gib(mib)} are"


_WRITABLE = {
    "logs": "sudo mkdir -p {0} && sudo chown $USER {0}",
    "cache": "sudo chown $USER {0}, or: export XDG_CACHE_HOME=A_FOLDER_OF_YOUR_OWN",
    "temp": "export TMPDIR=A_FOLDER_OF_YOUR_OWN",
}


def _shared(host: Host) -> tuple[Finding, ...]:
    small = [folder for folder in host.folders if folder.purpose == "shm" and folder.free_mib < SHM_MIB]
    return tuple(
        Finding(
            code="shm-small",
            level="warning",
            message=f"{_left(folder.free_mib)} left of shared memory, through which several GPUs exchange",
            hint="start the container with --ipc=host or --shm-size=8g",
        )
        for folder in small
    )
