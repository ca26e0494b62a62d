"""Running a child in its own session, and ending all of it."""

from __future__ import annotations

import os
import select
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
"""Signals to spark-rl that ask for a stop."""

SHORT_GRACE_S = 5.0
"""The same after the first rung when nobody is at the keyboard: Docker and its like kill after 10 s."""

_ALARM_S = 1.0
"""Longest sleep while the child runs; its end and every signal cut it short."""

_POLL_S = 0.1
"""Time between two looks at what is left of a group whose leader has ended."""


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
        left = self._left()
        if not left or not (self.pending or (self.sent and now >= self.deadline)):
            return None
        self.pending = max(0, self.pending - 1)
        hurry = not self.sent and self.received != signal.SIGINT
        self.deadline = now + (min(self.grace_s, SHORT_GRACE_S) if hurry else self.grace_s)
        self.sent.append(left[0])
        return left[0]

    def pause(self, now: float) -> float:
        """Return for how many seconds nothing is due."""
        if not self.sent or not self._left():
            return _ALARM_S
        return 0.0 if self.pending else min(_ALARM_S, max(0.0, self.deadline - now))

    def _left(self) -> tuple[signal.Signals, ...]:
        return LADDER[len(self.sent) :]


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
    input. A stop that is asked of spark-rl (:data:`REQUESTS`) is passed on to the whole group as INT, which trainers
    answer in seconds, then by deadline ``grace_s`` (seconds) or a repeated request as TERM and KILL. What is left of
    the group when the child has ended is killed.

    Raises:
        OSError: The program cannot be started.
    """
    started = time.monotonic()
    stop = _Stop(grace_s=grace_s)
    with _signals(stop) as wake:
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
            status = _wait(child, stop, wake, on_signal)
        finally:
            _signal_group(child.pid, signal.SIGKILL)
    return Exit(
        status=status,
        seconds=time.monotonic() - started,
        sent=tuple(sent.name for sent in stop.sent),
        stopped_by=stop.received,
    )


def _wait(child: subprocess.Popen[bytes], stop: _Stop, wake: int, on_signal: Callable[[str], None]) -> int:
    """Return the child's exit status; after a stop, the rest of its group gets the same time to end by itself.

    A shell that started the trainer dies of TERM at once, while the trainer is still closing its simulator.
    """
    while child.poll() is None or (stop.sent and stop.sent[-1] != signal.SIGKILL and _is_alive(child.pid)):
        due = stop.due(time.monotonic())
        if due is not None:
            _signal_group(child.pid, due)
            with suppress(OSError):  # a terminal that is gone
                on_signal(due.name)
        _sleep(wake, _POLL_S if child.returncode is not None else stop.pause(time.monotonic()))
    return child.returncode


def _sleep(wake: int, seconds: float) -> None:
    """Sleep until a signal arrives, at most ``seconds``."""
    if select.select([wake], [], [], seconds)[0]:
        os.read(wake, 4096)


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
def _signals(stop: _Stop) -> Iterator[int]:
    """Hand the stop signals to a stop ladder for a ``with`` block; yield what can be read whenever a signal came.

    The handlers also give the child default dispositions: exec resets a caught signal, and keeps one ignored that a
    shell ignored for what it started with ``&``. An ignored HUP stays so: that is what nohup is for.
    """
    heeded = [number for number in REQUESTS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    wake, wakened = os.pipe()
    os.set_blocking(wakened, False)
    before_fd = signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    before = {number: signal.signal(number, stop.request) for number in heeded}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield wake
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.close(wake)
        os.close(wakened)
