"""What is wrong with a machine, from its facts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.model import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_rl.model import Host, Installation

NO_LIBGOMP = Finding(
    code="libgomp-missing",
    level="warning",
    message="the system's libgomp.so.1 is missing: on aarch64 the simulator may fail to load",
    hint="sudo apt-get install libgomp1",
)


def machine(host: Host, installations: Iterable[Installation]) -> tuple[Finding, ...]:
    """Return what will stop or hinder training on this machine."""
    found = []
    if host.machine in ("aarch64", "arm64") and host.libgomp is None:
        found.append(NO_LIBGOMP)
    if not tuple(installations):
        found.append(
            Finding(
                code="isaaclab-missing",
                level="error",
                message="no Isaac Lab was found",
                hint="name one with SPARK_RL_ISAACLAB, or: pip install 'spark-rl[isaaclab]' into Python 3.12",
            )
        )
    if not host.gpus:
        found.append(
            Finding(
                code="gpu-missing",
                level="note",
                message="no NVIDIA GPU can be seen: kit-less Isaac Lab 3.0 trains on the CPU, Isaac Sim does not",
                hint="check the driver: nvidia-smi",
            )
        )
    return tuple(found)
