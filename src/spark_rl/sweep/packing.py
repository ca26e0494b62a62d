"""What one trial takes of a machine, so that as many run at once as fit and no more."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from spark_rl import gpus, memory
from spark_rl.errors import RequestError
from spark_rl.tuning import MARGIN

if TYPE_CHECKING:
    from spark_rl.model import Host
    from spark_rl.sweep import Sweep
    from spark_rl.tuning import Tuning

KITLESS_MIB, SIMULATOR_MIB = 3072, 12288
"""Memory of a trial that nobody measured: without Isaac Sim, and with it."""

GPU_CPUS = 8
"""A training on a GPU is given no more CPUs than this."""

MOST_SHARING = 8
"""Trials that share one GPU at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one trial takes; ``reasons`` maps ``cpus``, ``gpus`` and ``memory`` to why."""

    cpus: int
    gpus: float
    memory_mib: int
    reasons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a machine has for trials."""

    cpus: int
    gpus: int
    memory_mib: int

    def at_once(self, needs: Needs, parallel: int | None = None) -> int:
        """Return how many trials fit at once, at most ``parallel``."""
        shares = [self.cpus // needs.cpus, self.memory_mib // needs.memory_mib]
        if needs.gpus:
            each = int(1 / needs.gpus + 1e-9) if needs.gpus < 1 else 1 / needs.gpus
            shares.append(int(self.gpus * each))
        return min([*shares, *([parallel] if parallel else [])])


def room(host: Host, device: str | None) -> Room:
    """Return what this machine has: its memory but the reserve, and its GPUs unless the trials are for the CPU."""
    free = host.memory_available_mib - memory.default_reserve(host.memory_total_mib)
    return Room(cpus=host.cpu_count, gpus=0 if device == "cpu" else len(gpus.visible(host)), memory_mib=max(0, free))


def needs(sweep: Sweep, there: Room, *, num_envs: int | None, kitless: bool, known: Tuning | None) -> Needs:
    """Return what a trial takes: what the file says, else what was measured, else a cautious guess.

    Args:
        sweep: The sweep.
        there: What the machine has.
        num_envs: The most environments of a trial, None where the source does not tell.
        kitless: Whether the trials run without Isaac Sim.
        known: What ``tune`` measured of this task on this machine.
    """
    share, why_gpus = _gpus(sweep, there, num_envs, known)
    mib, why_memory = _memory(sweep, there, num_envs, known) or _guess(kitless=kitless)
    cpus, why_cpus = sweep.cpus, "as the file says"
    if cpus is None and share:
        cpus, why_cpus = max(1, min(GPU_CPUS, int(there.cpus * share / max(1, there.gpus)))), "its part of the CPUs"
    cpus, why_cpus = (cpus, why_cpus) if cpus else (1, "a small policy on the CPU gains little from more")
    reasons = (("cpus", why_cpus), ("gpus", why_gpus), ("memory", why_memory))
    return Needs(cpus=cpus, gpus=share, memory_mib=mib, reasons=reasons)


def _gpus(sweep: Sweep, there: Room, num_envs: int | None, known: Tuning | None) -> tuple[float, str]:
    if sweep.gpus is not None:
        return sweep.gpus, "as the file says"
    if not there.gpus:
        return 0.0, "none is used"
    sharing = min(MOST_SHARING, known.knee // num_envs) if known and num_envs else 1
    if known is None or sharing < 2:
        return 1.0, "a GPU for each trial: nothing measured says that one is enough for two"
    return int(1000 / sharing) / 1000, f"{num_envs} of the {known.knee} environments that fill a GPU (spark-rl tune)"


def _memory(sweep: Sweep, there: Room, num_envs: int | None, known: Tuning | None) -> tuple[int, str] | None:
    if sweep.memory_mib is not None:
        return sweep.memory_mib, "as the file says"
    if known is None or known.env_mib is None or known.base_mib is None or not num_envs or there.gpus:
        return None
    return ceil(MARGIN * max(0.0, known.base_mib + known.env_mib * num_envs)), "measured by spark-rl tune"


def _guess(*, kitless: bool) -> tuple[int, str]:
    told = f"a guess for a training {'without' if kitless else 'with'} Isaac Sim: spark-rl tune measures it"
    return KITLESS_MIB if kitless else SIMULATOR_MIB, told


def refuse(needed: Needs, there: Room) -> None:
    """Stop when not even one trial fits.

    Raises:
        RequestError: It names what is missing.
    """
    found = lacking(needed, there)
    if found is not None:
        raise RequestError(*found)


def lacking(needed: Needs, there: Room) -> tuple[str, str] | None:
    """Return what is missing for one trial and what would mend that, None where it fits."""
    both = {
        "cpus": (needed.cpus, there.cpus),
        "gpus": (needed.gpus, there.gpus),
        "memory": (needed.memory_mib, there.memory_mib),
    }
    for name, (wanted, had) in both.items():
        if wanted > had:
            unit = " MiB of memory" if name == "memory" else f" {name}"
            example = f'memory = "{had}MiB"' if name == "memory" else f"{name} = {had}"
            return f"a trial needs {wanted:g}{unit}, and {had:g} are here", f"[trial] {example}"
    return None
