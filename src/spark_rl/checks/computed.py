"""What a small computation in Isaac Lab's Python shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_rl.checks.libraries import pip, torch_needed
from spark_rl.model import Finding

if TYPE_CHECKING:
    from spark_rl.model import Installation
    from spark_rl.outcome import Computation

TOLERANCE = 5e-3
"""Relative error of a product of matrices; TF32, which some GPUs round to, stays below 1e-3."""

_WHAT = {
    "python": "Isaac Lab's Python does not compute",
    "torch": "torch does not compute",
    "nvrtc": "torch cannot compile for this GPU",
    "warp": "Warp, which Newton runs on, does not compute",
    "ranks": "the GPUs do not reach each other",
}


def lines(done: Computation) -> tuple[str, ...]:
    """Return what was computed, and where, in words."""
    told = []
    if done.device is not None and done.error is not None:
        where = f"{done.device} ({done.gpu})" if done.gpu else done.device
        compiled = ", and compiles for it" if done.nvrtc else ""
        told.append(f"torch {done.torch} computes on {where}, error {done.error:.0e}{compiled}")
    if done.warp is not None:
        told.append(f"Warp {done.warp} compiles for and computes on {done.warp_device}")
    if done.ranks:
        told.append(f"{done.ranks} ranks reduce 4 MiB over their GPUs")
    return (*told, f"took {done.seconds:.0f} s")


def findings(done: Computation, installation: Installation, gpus: int) -> tuple[Finding, ...]:
    """Return what failed, and a GPU that is there and was not used; ``gpus`` counts those that can be seen."""
    found = [_problem(part, text, installation) for part, text in done.problems]
    for name, device in (("torch", done.device), ("Warp", done.warp_device)):
        if gpus and device is not None and not device.startswith("cuda"):
            found.append(_unused(name, installation))
    if done.error is not None and done.error > TOLERANCE:
        found.append(
            Finding(
                code="deep-wrong",
                level="error",
                message=f"{done.device} multiplies matrices with a relative error of {done.error:.0e}",
                hint="check the GPU: nvidia-smi -q -d ECC,PAGE_RETIREMENT",
            )
        )
    if not gpus:
        found.append(Finding(code="deep-cpu", level="note", message="no GPU can be seen: the CPU part alone ran"))
    return tuple(found)


def _problem(part: str, text: str, installation: Installation) -> Finding:
    # Isaac Lab 2.x has Warp inside Isaac Sim alone, where its Python finds it once the simulator runs.
    mild = part == "warp" and installation.generation < 3 and text.startswith("ModuleNotFoundError")
    if mild:
        message = "Warp was not tried: this Python has it inside the simulator alone"
        return Finding(code="deep-warp", level="note", message=message)
    return Finding(
        code=f"deep-{part}", level="error", message=f"{_WHAT.get(part, part)}: {text}", hint=_hint(part, installation)
    )


def _hint(part: str, installation: Installation) -> str:
    if part == "ranks":
        return "try NCCL_P2P_DISABLE=1, then NCCL_CUMEM_HOST_ENABLE=0, one at a time; NCCL_DEBUG=INFO tells more"
    if part == "warp":
        return pip(installation, "warp-lang")
    if part == "python":
        return f"see it run: {installation.python or f'{installation.path}/isaaclab.sh -p'} -c 'import torch'"
    return f"{pip(installation, torch_needed(installation))} --index-url https://download.pytorch.org/whl/cu130"


def _unused(name: str, installation: Installation) -> Finding:
    return Finding(
        code="gpu-unused",
        level="error",
        message=f"there is a GPU, and {name} computes on the CPU",
        hint="check the driver with nvidia-smi, then reinstall: "
        + pip(installation, torch_needed(installation))
        + " --index-url https://download.pytorch.org/whl/cu130",
    )
