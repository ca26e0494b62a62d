"""How busy the machine is: GPU load and the memory that a run can use up."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_rl.gauges import system

DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia")
"""Where NVIDIA's driver shows that it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Load of the GPU in percent (None: no GPU), and used and total memory in MiB.

    The memory is the GPU's own, or the system's where the two share one (GB10) or there is no GPU.
    """

    gpu_percent: float | None
    memory_used_mib: int
    memory_total_mib: int


class Gauge:
    """Reads GPUs through NVML where there is a driver, and the system's memory."""

    def __init__(self, indices: tuple[int, ...]) -> None:
        """Watch the GPUs with these indices, as the driver counts them; none of them: the system's memory alone."""
        self._nvml: Any = None
        self._devices: list[Any] = []
        if indices and any(Path(path).exists() for path in DRIVER_FILES):
            self._open(indices)

    def _open(self, indices: tuple[int, ...]) -> None:
        import pynvml

        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            self._nvml = pynvml
            self._devices = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in indices]

    def read(self) -> Reading:
        """Return the load and memory now, over all GPUs of the run."""
        load, used, total = self._gpus()
        if not total:
            memory = system.memory()
            total = memory.total_mib
            used = 0 if memory.available_mib is None else total - memory.available_mib
        return Reading(gpu_percent=load, memory_used_mib=used, memory_total_mib=total)

    def _gpus(self) -> tuple[float | None, int, int]:
        loads, used, total = [], 0, 0
        for device in self._devices:
            with suppress(self._nvml.NVMLError):
                loads.append(float(self._nvml.nvmlDeviceGetUtilizationRates(device).gpu))
            with suppress(self._nvml.NVMLError):  # GB10 has no number: its memory is the system's
                memory = self._nvml.nvmlDeviceGetMemoryInfo(device)
                used, total = used + memory.used // 2**20, total + memory.total // 2**20
        return (sum(loads) / len(loads) if loads else None), used, total
