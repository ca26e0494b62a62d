"""GPUs: the driver against the GPU and torch, and what else computes on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl import gpus
from spark_rl.checks.libraries import pip, torch_needed
from spark_rl.gpus import gib
from spark_rl.model import Finding
from spark_rl.profiles.requirements import older

if TYPE_CHECKING:
    from spark_rl.model import Gpu, Host, Installation, Plan, Request

LOW_MIB = 4 * 1024
SPARK_DRIVER, SPARK_CUDA = "580", "13.0"
"""What GB10 needs, by NVIDIA's notes for DGX Spark."""

_KNOWN_SINCE = (("12.1", "13.0"), ("12.0", "12.8"), ("10.3", "12.9"), ("10.0", "12.8"), ("9.0", "11.8"))
"""Compute capability, and the first CUDA that compiles for it; highest first."""

_CUDA_13_OLDEST = "7.5"
_DRIVERS = {"13": "580", "12": "525"}


def used(decided: Plan, request: Request, host: Host) -> tuple[Gpu, ...]:
    """Return the GPUs that a plan computes on."""
    seen = gpus.visible(host)
    rank = host.variable("LOCAL_RANK")
    if request.gpus is not None and rank is not None and rank.isdecimal():
        return seen[int(rank) : int(rank) + 1]
    if request.gpus is not None and request.gpus != "1":
        return seen[: int(request.gpus)] if request.gpus.isdecimal() else seen
    argv = decided.argv
    device = argv[argv.index("--device") + 1] if "--device" in argv[:-1] else "cuda:0"
    number = device.partition(":")[2] or "0"
    return seen[int(number) : int(number) + 1] if device != "cpu" and number.isdecimal() else ()


def lines(host: Host) -> tuple[str, ...]:
    """Return the facts in words, GPUs of one kind together."""
    if not host.gpus:
        return ("none",)
    driver = f"driver {host.driver}" + (f", CUDA up to {host.cuda}" if host.cuda else "")
    kinds: dict[tuple[str, str | None, int | None], list[Gpu]] = {}
    for gpu in host.gpus:
        kinds.setdefault((gpu.name, gpu.compute_capability, gpu.memory_total_mib), []).append(gpu)
    return (*(_kind(host, alike) for alike in kinds.values()), driver)


def _kind(host: Host, alike: list[Gpu]) -> str:
    first = alike[0]
    numbers = f"{first.index}" if len(alike) == 1 else f"{first.index} to {alike[-1].index}"
    if first.unified:
        memory = "memory shared with the CPU"
    else:
        free = [gpus.free_mib(host, gpu) for gpu in alike]
        least = min((amount for amount in free if amount is not None), default=None)
        each = " each" if len(alike) > 1 else ""
        memory = f"{gib(first.memory_total_mib or 0)}{each}" + (_free(least, alike))
    capability = f" ({first.compute_capability})" if first.compute_capability else ""
    return f"{numbers}: {first.name}{capability}, {memory}"


def _free(least: int | None, alike: list[Gpu]) -> str:
    if least is None:
        return ""
    return f", {gib(least)} free" if len(alike) == 1 else f", {gib(least)} or more free"


def findings(host: Host, installation: Installation | None) -> tuple[Finding, ...]:
    """Return what is wrong with any GPU."""
    if not host.gpus:
        return (_NONE,)
    return for_run(host, host.gpus, installation, ranks=1)


_NONE = Finding(
    code="gpu-missing",
    level="note",
    message="no NVIDIA GPU can be seen: kit-less Isaac Lab 3.0 trains on the CPU, Isaac Sim does not",
    hint="check the driver: nvidia-smi",
)


def for_run(host: Host, used: tuple[Gpu, ...], installation: Installation | None, *, ranks: int) -> tuple[Finding, ...]:
    """Return what is wrong with the GPUs that are used, each by one of the ``ranks``; nothing where none is."""
    if not used:
        return ()
    old = next((found for gpu in used if (found := _spark_driver(host, gpu))), None) or _driver(host, installation)
    torch = next((found for gpu in used if (found := _torch(gpu, host, installation))), None)
    taken = (_taken(host, gpu, ranks) for gpu in used if gpus.busy(gpu) is not None or _is_small(host, gpu))
    return (*(found for found in (old, torch) if found is not None), *_masked(host), *taken)


def _is_small(host: Host, gpu: Gpu) -> bool:
    free = gpus.free_mib(host, gpu)
    return not gpu.unified and free is not None and free < LOW_MIB


def _taken(host: Host, gpu: Gpu, ranks: int) -> Finding:
    held, free = gpus.busy(gpu), gpus.free_mib(host, gpu)
    left = f"; {gib(free)} are free" if free is not None else ""
    if held is None:
        message = f"GPU {gpu.index} ({gpu.name}) has little memory{left}"
        return Finding(code="gpu-memory-low", level="warning", message=message, hint="use a small --num-envs")
    others = [str(other.index) for other in gpus.visible(host) if gpus.busy(other) is None]
    hint = "wait for it, or stop it if it is yours: nvidia-smi"
    if others and ranks > 1:
        hint = f"leave it to whoever has it: CUDA_VISIBLE_DEVICES={','.join(others)}"
    elif others:
        hint = "take a free one with --device auto, or choose with CUDA_VISIBLE_DEVICES"
    return Finding(code="gpu-busy", level="warning", message=f"GPU {gpu.index} is busy: {held}{left}", hint=hint)


def _spark_driver(host: Host, gpu: Gpu) -> Finding | None:
    if gpu.compute_capability != "12.1" or host.driver is None:
        return None
    old = older(host.driver, SPARK_DRIVER) or (host.cuda is not None and older(host.cuda, SPARK_CUDA))
    if not old:
        return None
    return Finding(
        code="driver-old",
        level="error",
        message=f"{gpu.name} needs driver {SPARK_DRIVER} with CUDA {SPARK_CUDA}, and driver {host.driver} is installed",
        hint="sudo apt-get update && sudo apt-get dist-upgrade && sudo reboot",
    )


def _driver(host: Host, installation: Installation | None) -> Finding | None:
    """Return that the driver is too old for the CUDA of torch; within one major version CUDA is compatible."""
    built = installation.torch_cuda if installation else None
    if built is None or built == "cpu" or host.cuda is None or int(built.split(".")[0]) <= int(host.cuda.split(".")[0]):
        return None
    driver = _DRIVERS.get(built.split(".")[0])
    install = f"install driver {driver} or newer: sudo apt-get install nvidia-driver-{driver}-open && sudo reboot"
    return Finding(
        code="driver-old",
        level="error",
        message=f"torch is built for CUDA {built}, and driver {host.driver} runs CUDA up to {host.cuda}",
        hint=install if driver else "install the newest driver: https://www.nvidia.com/drivers",
    )


def _torch(gpu: Gpu, host: Host, installation: Installation | None) -> Finding | None:
    """Return that torch has no code for a GPU: at best it fails at its first kernel, at worst it takes the CPU."""
    if installation is None or installation.torch_cuda is None:
        return None
    built, capability = installation.torch_cuda, gpu.compute_capability
    if built == "cpu":
        what = "torch is built without CUDA"
    elif capability is None:
        return None
    elif older(built, _since(capability)):
        what = f"torch is built for CUDA {built}, which does not know {gpu.name} ({capability})"
    elif older(capability, _CUDA_13_OLDEST) and not older(built, "13.0"):
        what = f"torch is built for CUDA {built}, which has dropped {gpu.name} ({capability})"
        return Finding(code="torch-cuda", level="error", message=what, hint=_install(installation, "12.6"))
    else:
        return None
    wanted = max(_since(capability or "0"), "12.8" if older(host.cuda or "13.0", "13.0") else "13.0", key=float)
    return Finding(code="torch-cuda", level="error", message=what, hint=_install(installation, wanted))


def _since(capability: str) -> str:
    return next((cuda for known, cuda in _KNOWN_SINCE if not older(capability, known)), "0")


def _install(installation: Installation, cuda: str) -> str:
    index = f"--index-url https://download.pytorch.org/whl/cu{cuda.replace('.', '')}"
    return f"{pip(installation, torch_needed(installation))} {index}"


def _masked(host: Host) -> tuple[Finding, ...]:
    """Return what CUDA_VISIBLE_DEVICES does that may not be meant."""
    mask = dict(host.environ).get("CUDA_VISIBLE_DEVICES")
    if mask is not None and host.gpus and not gpus.visible(host):
        message = f"CUDA_VISIBLE_DEVICES={mask!r} hides every GPU"
        return (Finding(code="gpu-hidden", level="warning", message=message, hint="unset CUDA_VISIBLE_DEVICES"),)
    if gpus.own_order(host) and gpus.numbered_mask(host):
        message = f"CUDA_VISIBLE_DEVICES={mask} may mean other GPUs than nvidia-smi's: CUDA puts the fastest first"
        return (
            Finding(code="gpu-order", level="warning", message=message, hint="export CUDA_DEVICE_ORDER=PCI_BUS_ID"),
        )
    return ()
