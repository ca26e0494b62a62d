"""Running a child in its own session, and ending all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

LADDER = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
GRACE_S = 30.0
"""Time for a trainer to leave Kit's shutdown behind before the next rung of :data:`LADDER`."""

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals to spark-rl that ask for a stop; INT starts on the first rung of :data:`LADDER`, the others on the second."""

_POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a child ended: its exit status (negative: the signal that killed it), and what was sent to it.

    ``stopped_by`` is the signal that spark-rl itself received, None when nobody asked for a stop.
    """

    status: int
    seconds: float
    sent: tuple[str, ...] = ()
    stopped_by: int | None = None


@dataclass(slots=True)
class _Stop:
    """The stop ladder as signals arrive: each repetition or passed deadline climbs one rung."""

    grace_s: float
    received: int | None = None
    sent: list[signal.Signals] = field(default_factory=list)
    pending: int = 0
    deadline: float = 0.0

    def request(self, signum: int, _frame: FrameType | None) -> None:
        self.received = self.received or signum
        self.pending += 1

    def due(self, now: float) -> signal.Signals | None:
        """Return the signal to send now, None when there is nothing to do yet."""
        rung = len(self.sent) + (0 if self.received == signal.SIGINT else 1)
        if rung >= len(LADDER) or not (self.pending or (self.sent and now >= self.deadline)):
            return None
        self.pending = max(0, self.pending - 1)
        self.deadline = now + self.grace_s
        self.sent.append(LADDER[rung])
        return LADDER[rung]


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    output: int,
    on_signal: Callable[[str], None] = lambda _name: None,
    grace_s: float = GRACE_S,
) -> Exit:
    """Run ``argv`` to its end, its output going to the file descriptor ``output``.

    The child has its own session, obeys INT and TERM even where spark-rl was started with them ignored, and has no
    input. A stop that is asked of spark-rl (:data:`REQUESTS`) is passed on once as INT or TERM, then by deadline
    ``grace_s`` (seconds) or a repeated request as TERM and KILL, to the whole group. What is left of the group when
    the child has ended is killed.

    Raises:
        OSError: The program cannot be started.
    """
    started = time.monotonic()
    stop = _Stop(grace_s=grace_s)
    with _signals(stop):
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = _wait(child, stop, on_signal)
        finally:
            _signal_group(child.pid, signal.SIGKILL)
    return Exit(
        status=status,
        seconds=time.monotonic() - started,
        sent=tuple(sent.name for sent in stop.sent),
        stopped_by=stop.received,
    )


def _wait(child: subprocess.Popen[bytes], stop: _Stop, on_signal: Callable[[str], None]) -> int:
    """Return the child's exit status; after a stop, the rest of its group gets the same time to end by itself.

    A shell that started the trainer dies of TERM at once, while the trainer is still closing its simulator.
    """
    while child.poll() is None or (stop.sent and stop.sent[-1] != signal.SIGKILL and _is_alive(child.pid)):
        due = stop.due(time.monotonic())
        if due is not None:
            _signal_group(child.pid, due)
            with suppress(OSError):  # a terminal that is gone
                on_signal(due.name)
        if child.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=_POLL_S)
        else:
            time.sleep(_POLL_S)
    return child.returncode


def _is_alive(group: int) -> bool:
    """Say whether a process of ``group`` runs; one that ended and that nobody waits for does not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, _, owner = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
            if int(owner) == group and state not in "ZX":
                return True
    return False


def _signal_group(group: int, number: signal.Signals) -> None:
    # PermissionError: only processes of another user are left, such as a setuid program's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextmanager
def _signals(stop: _Stop) -> Iterator[None]:
    """Hand the stop signals to a stop ladder for the time of a ``with`` block.

    The handlers also give the child default dispositions: exec resets a caught signal, and keeps one ignored that a
    shell ignored for what it started with ``&``. An ignored HUP stays so: that is what nohup is for.
    """
    heeded = [number for number in REQUESTS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop.request) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
