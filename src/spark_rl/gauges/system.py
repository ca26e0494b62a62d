"""The memory of the machine, or what a container or a batch system leaves of it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """Where a version of control groups has its files below a group, and what it calls them."""

    folder: str
    limit: str
    used: str
    cached: tuple[str, ...]


_V1 = _Version(
    folder="memory",
    limit="memory.limit_in_bytes",
    used="memory.usage_in_bytes",
    cached=("total_inactive_file", "total_active_file"),
)
_V2 = _Version(folder="", limit="memory.max", used="memory.current", cached=("inactive_file", "active_file"))


def memory(proc: Path = PROC, groups: Path = GROUPS) -> Memory:
    """Return the memory of the machine, or of the control group that has the least left.

    Args:
        proc: Where the kernel shows processes.
        groups: Where it shows control groups.
    """
    sizes = _meminfo(proc)
    total = sizes.get("MemTotal", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20)
    available = sizes.get("MemAvailable")
    for limit, used in _limits(proc, groups):
        total = min(total, limit)
        available = min(max(limit - used, 0), limit if available is None else available)
    return Memory(total_mib=total, available_mib=available)


def oom_kills(proc: Path = PROC) -> int:
    """Return how many processes the kernel has killed for want of memory since the machine started."""
    with suppress(OSError, ValueError):
        for line in (proc / "vmstat").read_text(encoding="ascii").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0


def _meminfo(proc: Path) -> dict[str, int]:
    """Return the first lines of the kernel's account of memory, in MiB."""
    sizes: dict[str, int] = {}
    with suppress(OSError, ValueError):
        for line in (proc / "meminfo").read_text(encoding="ascii").splitlines()[:5]:
            name, _, rest = line.partition(":")
            sizes[name] = int(rest.split()[0]) // 1024
    return sizes


def _limits(proc: Path, groups: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use in MiB of every control group above this process that has a limit.

    What the kernel keeps of files does not count as used: it gives that back. A container sees its own group as the
    root, whatever its path on the machine is: what is not there is passed over.
    """
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        version = _V1 if controllers else _V2
        root = groups / version.folder
        group = root / path.strip("/")
        for place in (group, *group.parents):
            if not place.is_relative_to(root):
                break
            with suppress(ValueError):  # "max", or no such file
                limit = int(_text(place / version.limit))
                yield limit // 2**20, (int(_text(place / version.used)) - _cached(place, version)) // 2**20


def _cached(group: Path, version: _Version) -> int:
    lines = (line.partition(" ") for line in _text(group / "memory.stat").splitlines())
    return sum(int(number) for name, _, number in lines if name in version.cached)


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(encoding="utf-8")
    return ""
