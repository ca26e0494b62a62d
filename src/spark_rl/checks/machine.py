"""The machine itself: architecture, C library, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.gpus import gib
from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Host

ARM = ("aarch64", "arm64")
LOW_MIB, LOW_SHARED_MIB = 4 * 1024, 16 * 1024
"""Available memory under which a run is likely to be killed: the system's alone, and shared with a GPU."""

NO_LIBGOMP = Finding(
    code="libgomp-missing",
    level="warning",
    message="the system's libgomp.so.1 is missing: on aarch64 the simulator may fail to load",
    hint="sudo apt-get install libgomp1",
)


def lines(host: Host) -> tuple[str, ...]:
    """Return the facts in words."""
    glibc = f", glibc {host.glibc}" if host.glibc else ""
    memory = f"{gib(host.memory_available_mib)} of {gib(host.memory_total_mib)} free"
    return (f"{host.machine}, {host.os}{glibc}, {host.cpu_count} CPUs", f"memory: {memory}")


def findings(host: Host) -> tuple[Finding, ...]:
    """Return what is wrong for any run."""
    found = [NO_LIBGOMP] if host.machine in ARM and host.libgomp is None else []
    if host.machine not in ("x86_64", "AMD64", *ARM):
        found.append(
            Finding(
                code="architecture",
                level="error",
                message=f"Isaac Lab does not exist for {host.machine}",
                hint="use an x86_64 or aarch64 machine; plan for it here with --host FILE",
            )
        )
    return (*found, *for_run(host))


def for_run(host: Host) -> tuple[Finding, ...]:
    """Return what changes from hour to hour: the memory that is left."""
    shared = any(gpu.unified for gpu in host.gpus)
    if host.memory_available_mib >= (LOW_SHARED_MIB if shared else LOW_MIB):
        return ()
    whose = "memory, which CPU and GPU share," if shared else "memory"
    return (
        Finding(
            code="memory-low",
            level="warning",
            message=f"only {gib(host.memory_available_mib)} of the {whose} is available",
            hint="see what takes it: ps --sort=-rss -eo rss,pid,comm | head",
        ),
    )
