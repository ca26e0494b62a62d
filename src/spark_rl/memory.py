"""How much memory a run must leave to the system, and when it has to end for its sake."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_rl.errors import RequestError

if TYPE_CHECKING:
    from spark_rl.model import Host

SHARE, LEAST_MIB = 0.06, 2048
"""The reserve unless another one is asked for: a share of the memory, and what it is at least."""

PATIENCE = 3
"""Consecutive readings under the reserve after which a run ends; the first of them warns."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(mib|mb|m|gib|gb|g|)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What programs started from here can have in all, and what they can still have, in MiB; None if unknown."""

    total_mib: int
    available_mib: int | None


def mib(text: str, what: str) -> int:
    """Return an amount of memory such as ``8GiB``, ``512MiB`` or ``4096`` (MiB) in MiB.

    Raises:
        RequestError: It is none; ``what`` names it.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"{what} must be an amount of memory, not {text!r}", "MiB or GiB, for example 8GiB")
    return round(float(match[1]) * (1024 if match[2][:1].lower() == "g" else 1))


def default_reserve(total_mib: int) -> int:
    """Return the reserve of a machine, in MiB like its memory."""
    return max(round(total_mib * SHARE), LEAST_MIB)


def reserve(host: Host, asked: str | None) -> int | None:
    """Return what a run must leave to the system in MiB, None where nobody watches.

    A GPU with memory of its own fails alone when it is full; one that shares the system's takes the machine with it.

    Raises:
        RequestError: What was asked for is no amount, or more than the machine has.
    """
    if asked is None:
        return default_reserve(host.memory_total_mib) if any(gpu.unified for gpu in host.gpus) else None
    wanted = mib(asked, "--memory-reserve")
    if wanted >= host.memory_total_mib:
        raise RequestError(
            f"--memory-reserve {asked} leaves nothing of the machine's {host.memory_total_mib} MiB",
            f"for example --memory-reserve {default_reserve(host.memory_total_mib)}",
        )
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What the readings of the available memory have come to.

    ``low`` counts the consecutive readings under the reserve up to now, ``least_mib`` is the lowest of all readings
    that were under it, None when there was none.
    """

    reserve_mib: int
    low: int = 0
    least_mib: int | None = None
    available_mib: int | None = None

    def read(self, available_mib: int) -> Guard:
        """Return the guard after one more reading."""
        if available_mib >= self.reserve_mib:
            return replace(self, low=0, available_mib=available_mib)
        least = available_mib if self.least_mib is None else min(available_mib, self.least_mib)
        return replace(self, low=self.low + 1, least_mib=least, available_mib=available_mib)

    @property
    def ends(self) -> bool:
        """Whether the run must end: under the reserve for too long, or under half of it."""
        if not self.low or self.available_mib is None:
            return False
        return self.low >= PATIENCE or self.available_mib < self.reserve_mib / 2
