"""Whether the process that supervises a run is still there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl.records import Owner

if TYPE_CHECKING:
    from spark_rl.records import Run

HEARTBEAT_LIMIT_S = 600.0
"""Age of the heartbeat from which a run of another machine counts as lost."""


def owner_now() -> Owner:
    """Return this process as the owner of a run."""
    return Owner(host=_host(), boot=_boot(), pid=os.getpid(), start_ticks=_start_ticks(os.getpid()) or 0)


def is_alive(owner: Owner) -> bool | None:
    """Say whether an owner still runs; None where this cannot be seen from here.

    A process number alone would be reused: the start time must be the same too. Another host's processes, and those
    of a container with numbers of its own, cannot be seen.
    """
    if owner.host != _host():
        return None
    boot, _, numbers = owner.boot.partition("/")
    boot_here, _, numbers_here = _boot().partition("/")
    if boot != boot_here:
        return False
    if numbers and numbers != numbers_here:
        return None
    return _start_ticks(owner.pid) == owner.start_ticks


def is_lost(run: Run, now: float) -> bool:
    """Say whether a run that should go on has no owner any more.

    Where the owner cannot be seen (home folders are shared between machines, and with containers), the heartbeat
    decides: a run is lost when its record was not written for :data:`HEARTBEAT_LIMIT_S`. One that an engine is yet to
    start has no owner; what became of it only the engine tells.
    """
    if run.over or run.waits:
        return False
    alive = is_alive(run.owner)
    return now - run.updated_at > HEARTBEAT_LIMIT_S if alive is None else not alive


def _host() -> str:
    return os.uname().nodename


def _boot() -> str:
    """Return the id of this boot, a slash, and the namespace that process numbers belong to.

    A container that shares its machine's network has the machine's host name and boot, yet numbers of its own.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None when it is not there, or only its remains."""
    try:
        # The name may hold anything, brackets and blanks included: what counts follows the last bracket.
        values = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if values[0] in (b"Z", b"X") else int(values[19])
    except (OSError, ValueError, IndexError):
        return None
