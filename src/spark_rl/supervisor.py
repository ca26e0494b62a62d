"""Running a child in its own session, and ending all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

LADDER = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
GRACE_S = 30.0
"""Time for a trainer to leave Kit's shutdown behind before the next rung of :data:`LADDER`."""

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
    requests: int = 0
    deadline: float = 0.0

    def request(self, signum: int, _frame: FrameType | None) -> None:
        self.received = self.received or signum
        self.requests += 1

    def due(self, now: float) -> signal.Signals | None:
        """Return the next signal for the group, None when there is nothing to do yet."""
        if not self.requests or len(self.sent) == len(LADDER):
            return None
        first = 1 if self.received == signal.SIGTERM else 0
        rung = len(self.sent) + first
        if rung >= len(LADDER):
            return None
        if self.sent and self.requests <= len(self.sent) and now < self.deadline:
            return None
        self.deadline = now + self.grace_s
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

    The child has its own session, default signal dispositions and no input. SIGINT and SIGTERM that reach spark-rl
    are passed on once as INT (TERM), then by deadline ``grace_s`` (seconds) or a repeated request TERM and KILL, to
    the whole group. What is left of the group when the child has ended is killed.

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
            preexec_fn=_default_signals,  # noqa: PLW1509 - a child of a background shell inherits ignored INT otherwise
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
    while True:
        try:
            return child.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            due = stop.due(time.monotonic())
            if due is not None:
                stop.sent.append(due)
                on_signal(due.name)
                _signal_group(child.pid, due)


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


@contextmanager
def _signals(stop: _Stop) -> Iterator[None]:
    """Hand SIGINT and SIGTERM to a stop ladder for the time of a ``with`` block."""
    before = {number: signal.signal(number, stop.request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
