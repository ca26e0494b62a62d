"""Which GPUs a run sees, which of them is free, and what holds the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.model import Gpu

if TYPE_CHECKING:
    from spark_rl.model import GpuProcess, Host

SMALL_MIB = 256
"""A program that holds less does not make a GPU busy."""

_UNSEEN_MIB, _UNSEEN_SHARE = 2048, 0.25


def visible(host: Host) -> tuple[Gpu, ...]:
    """Return the GPUs that a run sees, in CUDA's order: ``cuda:N`` is the Nth.

    CUDA_VISIBLE_DEVICES holds numbers, the beginnings of UUIDs, or MIG devices (of which nothing more is known here);
    CUDA takes what stands before the first entry that is none.
    """
    mask = dict(host.environ).get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        return host.gpus
    found: list[Gpu] = []
    for entry in mask.split(","):
        gpu = _named(entry.strip(), host.gpus, len(found))
        if gpu is None:
            break
        found.append(gpu)
    return tuple(found)


def _named(entry: str, gpus: tuple[Gpu, ...], position: int) -> Gpu | None:
    if entry.isdecimal():
        return gpus[int(entry)] if int(entry) < len(gpus) else None
    if entry.startswith("MIG-") and gpus:
        return Gpu(index=position, name=entry)
    if entry.startswith("GPU-"):
        known = any(gpu.uuid for gpu in gpus)
        # A document of an older spark-rl has no UUIDs: the number of entries is all that can be known.
        alike = gpus[position : position + 1] if not known else [g for g in gpus if (g.uuid or "").startswith(entry)]
        return alike[0] if len(alike) == 1 else None
    return None


def used(host: Host, device: str | None, ranks: int) -> tuple[int, ...]:
    """Return the indices, as the driver counts, of the GPUs that a run works on: one for each rank.

    Args:
        host: The machine.
        device: What ``--device`` says, None for the default.
        ranks: How many there are.
    """
    if device == "cpu":
        return ()
    first = int((device or "").partition(":")[2] or 0)
    return tuple(gpu.index for gpu in visible(host)[first : first + ranks])


def own_order(host: Host) -> bool:
    """Say whether CUDA may number unlike GPUs in another order than the driver: it puts the fastest first."""
    return len({gpu.name for gpu in host.gpus}) > 1 and host.variable("CUDA_DEVICE_ORDER") != "PCI_BUS_ID"


def numbered_mask(host: Host) -> bool:
    """Say whether CUDA_VISIBLE_DEVICES holds numbers, which mean other GPUs in another order."""
    return (host.variable("CUDA_VISIBLE_DEVICES") or "")[:1].isdecimal()


def free_mib(host: Host, gpu: Gpu) -> int | None:
    """Return the memory that a run can have, None where nobody knows; unified memory is the system's."""
    return host.memory_available_mib if gpu.unified else gpu.memory_free_mib


def busy(gpu: Gpu) -> str | None:
    """Return what holds a GPU, in words, None when it is free or nobody looked."""
    held = [process for process in gpu.processes if process.memory_mib is None or process.memory_mib >= SMALL_MIB]
    if held:
        largest = sorted(held, key=lambda process: -(process.memory_mib or 0))
        told = ", ".join(_told(process) for process in largest[:3])
        return told if len(held) <= 3 else f"{told} and {len(held) - 3} more"
    if gpu.memory_total_mib is None or gpu.memory_free_mib is None:
        return None
    used = gpu.memory_total_mib - gpu.memory_free_mib
    if used < max(_UNSEEN_MIB, gpu.memory_total_mib * _UNSEEN_SHARE):
        return None
    return f"{gib(used)} are held by what cannot be seen from here"


def _told(process: GpuProcess) -> str:
    amount = "memory" if process.memory_mib is None else gib(process.memory_mib)
    return f"{process.name or 'a process of another container or user'} (pid {process.pid}) holds {amount}"


def choose(host: Host) -> tuple[str, str]:
    """Return the device that ``auto`` means, and why: of the free GPUs that can be seen the one with most free memory.

    Where none is free it is the one with most free memory; where none can be seen, the CPU.
    """
    seen = visible(host)
    if not seen:
        return "cpu", "auto: no GPU can be seen"
    number = min(range(len(seen)), key=lambda place: (busy(seen[place]) is not None, -_size(host, seen[place]), place))
    chosen = seen[number]
    free = free_mib(host, chosen)
    memory = "" if free is None else f", with {gib(free)} free" + (" of shared memory" if chosen.unified else "")
    rank = "the only one that can be seen" if len(seen) == 1 else _rank(seen, chosen)
    return f"cuda:{number}", f"auto: GPU {chosen.index} ({chosen.name}){memory}: {rank}"


def of_device(host: Host, device: str | None) -> Gpu | None:
    """Return the GPU that a device means: ``cuda:N``, ``auto``, or None for the first; None for the CPU."""
    seen = visible(host)
    chosen = choose(host)[0] if device == "auto" else device or "cuda:0"
    number = chosen.partition(":")[2] or "0"
    index = int(number) if chosen != "cpu" and number.isdecimal() else len(seen)
    return seen[index] if index < len(seen) else None


def _size(host: Host, gpu: Gpu) -> int:
    free = free_mib(host, gpu)
    return (gpu.memory_total_mib or 0) if free is None else free


def _rank(seen: tuple[Gpu, ...], chosen: Gpu) -> str:
    if busy(chosen) is not None:
        return f"none of {len(seen)} is free, and it has most memory left"
    taken = sum(busy(gpu) is not None for gpu in seen)
    return f"the most of {len(seen)}" if not taken else f"the most of those that are free ({taken} of {len(seen)} busy)"


def gib(mib: int) -> str:
    """Return an amount of memory in words."""
    if mib >= 2**20:
        return f"{mib / 2**20:.1f} TiB"
    return f"{mib / 1024:.1f} GiB" if mib < 10 * 1024 else f"{mib / 1024:.0f} GiB"
