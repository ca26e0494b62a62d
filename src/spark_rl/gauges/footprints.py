"""The memory that a running training holds: of its GPU, or of the system where the two share one or there is no GPU."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_rl.gauges import system

if TYPE_CHECKING:
    from collections.abc import Iterator


class Footprint:
    """Reads what the programs below this one, or another, hold, and keeps the most that was seen.

    Args:
        gpu: Number of the GPU as the driver counts, None for a training on the CPU.
        unified: Whether the GPU shares the system's memory.
        root: The process below which memory counts, by default this one.
    """

    def __init__(self, gpu: int | None = None, *, unified: bool = False, root: int | None = None) -> None:
        self._root = os.getpid() if root is None else root
        self._nvml: Any = None
        self._device: Any = None
        if gpu is not None and not unified:
            self._open(gpu)
        self._unified = unified
        self._free_before = self.free_mib()
        self._used_before = self._used()
        self.peak_mib: int | None = None

    def _open(self, gpu: int) -> None:
        import pynvml

        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            self._device = pynvml.nvmlDeviceGetHandleByIndex(gpu)
            self._nvml = pynvml

    def free_mib(self) -> int | None:
        """Return the memory that can still be had, in MiB, None where nobody knows."""
        if self._nvml is None:
            return system.memory().available_mib
        with suppress(self._nvml.NVMLError):
            free: int = self._nvml.nvmlDeviceGetMemoryInfo(self._device).free // 2**20
            return free
        return None

    def look(self) -> None:
        """Read once more."""
        held = self._held()
        if held is not None:
            self.peak_mib = max(held, self.peak_mib or 0)

    def _held(self) -> int | None:
        """Return what is held now.

        A container does not see the processes of its GPU by their own numbers, if at all: what the whole GPU holds
        more than before stands in for them. What CUDA takes of shared memory is no process's: the fall of the memory
        that is left tells it.
        """
        if self._nvml is not None:
            used = self._used()
            grown = None if used is None or self._used_before is None else max(0, used - self._used_before)
            return self._own_of_gpu() or grown
        resident = sum(_resident(pid) for pid in _below(self._root))
        available = system.memory().available_mib
        if not self._unified or available is None or self._free_before is None:
            return resident or None
        return max(resident, self._free_before - available)

    def _used(self) -> int | None:
        if self._nvml is None:
            return None
        with suppress(self._nvml.NVMLError):
            used: int = self._nvml.nvmlDeviceGetMemoryInfo(self._device).used // 2**20
            return used
        return None

    def _own_of_gpu(self) -> int:
        own = frozenset(_below(self._root))
        with suppress(self._nvml.NVMLError):
            found = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._device)
            return sum((one.usedGpuMemory or 0) // 2**20 for one in found if one.pid in own)
        return 0


def _below(pid: int) -> Iterator[int]:
    """Yield the processes that descend from one."""
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in file.read_text(encoding="ascii").split():
                yield int(child)
                yield from _below(int(child))


def _resident(pid: int) -> int:
    """Return the memory of a process that is no file's, in MiB: libraries that several share would count twice."""
    with suppress(OSError, ValueError, IndexError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") // 2**20
    return 0
