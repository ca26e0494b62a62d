"""Who supervises a run: one process at a time, as long as it lives."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from spark_rl.registry import files

_held: dict[str, int] = {}


def claim(run_id: str) -> bool:
    """Make this process, and one that it forks, the only supervisor of a run; say whether no other one is.

    The kernel takes the claim back when they end, however that happens. A disk that cannot lock does not forbid a run.
    """
    release(run_id)
    try:
        descriptor = os.open(files.path(run_id) / files.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError:
        os.close(descriptor)
        return True
    _held[run_id] = descriptor
    return True


def release(run_id: str) -> None:
    """Give this process's claim back; that of a process that it forked lasts."""
    descriptor = _held.pop(run_id, None)
    if descriptor is not None:
        with suppress(OSError):
            os.close(descriptor)
