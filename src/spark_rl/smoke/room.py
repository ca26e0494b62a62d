"""How many cells this machine can run at once: one on each GPU, and what its memory holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_rl import gpus, memory
from spark_rl.gauges import system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spark_rl.matrix import Cell
    from spark_rl.model import Gpu, Host

KITLESS_MIB, ISAACSIM_MIB = 3072, 12288
"""What a cell is taken to need of the system's memory, without and with Isaac Sim, unless its table says so."""


MOST_ON_CPU = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Berth:
    """What a running cell has to itself: ``gpu``, None for the CPU, and ``need_mib`` of the system's memory.

    ``env`` is set over the environment: the GPU is the only one that the cell sees, where there are others.
    """

    need_mib: int
    gpu: Gpu | None = None
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The machine, and ``jobs``: how many cells may run at once at most.

    ``available`` tells the memory that is left in MiB, None where nobody knows.
    """

    host: Host
    jobs: int
    isaacsim: bool
    available: Callable[[], int | None] = lambda: system.memory().available_mib

    def berth(self, cell: Cell, device: str | None, taken: Iterable[tuple[Berth, int]]) -> Berth | None:
        """Return what a cell can have now, None when it must wait.

        Where nothing runs, a cell gets what there is: too much or not, it will not become more.

        Args:
            cell: The cell.
            device: Its device, as a request has it.
            taken: The berths of the cells that run, and the memory that each holds now in MiB.
        """
        taken = tuple(taken)
        need = cell.memory_mib or (ISAACSIM_MIB if self.isaacsim else KITLESS_MIB)
        if len(taken) >= self.jobs or (taken and not self._fits(need, taken)):
            return None
        seen = gpus.visible(self.host)
        if device == "cpu" or not seen:
            return Berth(need_mib=need, env=self._threads())
        busy = {berth.gpu.index for berth, _ in taken if berth.gpu}
        named = gpus.of_device(self.host, device) if device and device.startswith("cuda:") else None
        free = next((gpu for gpu in ((named,) if named else seen) if gpu.index not in busy), None)
        if free is None:
            return None
        return Berth(need_mib=need, gpu=free, env=_alone(free) if named is None and len(seen) > 1 else ())

    def _fits(self, need: int, taken: tuple[tuple[Berth, int], ...]) -> bool:
        """Say whether memory is left for a cell once those that run have all that they need."""
        available = self.available()
        if available is None:
            return True
        coming = sum(max(0, berth.need_mib - held) for berth, held in taken)
        return available - coming - memory.default_reserve(self.host.memory_total_mib) >= need

    def _threads(self) -> tuple[tuple[str, str], ...]:
        """Return the share of the cores that one of several cells on the CPU has."""
        if self.jobs == 1 or self.host.variable("OMP_NUM_THREADS"):
            return ()
        return (("OMP_NUM_THREADS", str(max(1, self.host.cpu_count // self.jobs))),)


def _alone(gpu: Gpu) -> tuple[tuple[str, str], ...]:
    name = gpu.uuid or (gpu.name if gpu.name.startswith("MIG-") else str(gpu.index))
    return (("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("CUDA_VISIBLE_DEVICES", name))


def usual_jobs(host: Host) -> int:
    """Return how many cells run at once unless somebody says: one for each GPU, or for each core up to a few."""
    return len(gpus.visible(host)) or min(host.cpu_count, MOST_ON_CPU)
