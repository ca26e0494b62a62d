"""Owning a child from its start to the end of everything it started."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_rl.supervisor.child import PIPE_BYTES, Child
from spark_rl.supervisor.stopping import (
    GRACE_S,
    REQUESTS,
    TICK_S,
    Ending,
    Heard,
    Stop,
    listening,
    pause,
    signals,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "GRACE_S",
    "REQUESTS",
    "TICK_S",
    "Child",
    "Ending",
    "Exit",
    "Heard",
    "Stop",
    "Watcher",
    "detach",
    "listening",
    "pause",
    "run",
]

_POLL_S = 0.1
"""Time between two looks at what is left of a group whose leader has ended."""

_QUIET_S = 0.05
"""Rest after a small piece of output: a trainer that prints line by line must not wake the launcher for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a child ended: its exit status (negative: the signal that killed it), and what was sent to it.

    ``stopped_by`` is the signal that spark-rl itself received, None when nobody asked for a stop; ``ended_by`` why the
    watcher ended it, None when it did not.
    """

    status: int
    seconds: float
    sent: tuple[str, ...] = ()
    stopped_by: int | None = None
    ended_by: Ending | None = None


class Watcher:
    """What is told of a run while it goes; a subclass overrides what it wants to know."""

    def started(self, pid: int) -> None:
        """Take the child's process number."""

    def output(self, chunk: bytes) -> None:
        """Take what the child printed, as it came."""

    def tick(self) -> Ending | None:
        """Look at the run, about once in :data:`TICK_S`; return why it should be ended, None to let it go on."""
        return None

    def signalled(self, name: str) -> None:
        """Take the name of a signal that was sent to the child."""

    def hung_up(self) -> None:
        """Learn that the terminal is gone."""


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    watcher: Watcher,
    grace_s: float = GRACE_S,
    clock: Callable[[], float] = time.monotonic,
) -> Exit:
    """Run ``argv`` to its end and leave nothing behind that it started.

    The child has its own session, default signal dispositions and no input. A stop that is asked of spark-rl
    (:data:`REQUESTS`), or by the watcher, is passed on to the whole group as INT, which trainers answer in seconds,
    then by deadline ``grace_s`` (seconds) or a repeated request as TERM and KILL. When the child has ended, every
    process that descends from it is killed; a reaper between the two does the same when this process is gone.

    Raises:
        OSError: The program cannot be started.
    """
    started = clock()
    stop = Stop(grace_s=grace_s)
    with signals(stop) as wake, Child(argv, cwd=cwd, environ=environ) as child:
        watcher.started(child.pid)
        status = _follow(child, stop, wake, watcher, clock)
        child.end()
        while chunk := child.read():
            watcher.output(chunk)
    return Exit(
        status=status,
        seconds=clock() - started,
        sent=tuple(sent.name for sent in stop.sent),
        stopped_by=stop.received,
        ended_by=stop.ending,
    )


def _follow(child: Child, stop: Stop, wake: int, watcher: Watcher, clock: Callable[[], float]) -> int:
    """Return the child's exit status; after a stop, the rest of its group gets the same time to end by itself.

    A shell that started the trainer dies of TERM at once, while the trainer is still closing its simulator.
    """
    next_tick = clock() + TICK_S
    while child.status is None or (stop.sent and stop.sent[-1] != signal.SIGKILL and _is_alive(child.pid)):
        if stop.in_vain(clock()):
            child.status = -signal.SIGKILL
            break
        due = stop.due(clock())
        if due is not None:
            child.signal(due)
            watcher.signalled(due.name)
        if stop.hangups:
            stop.hangups = 0
            watcher.hung_up()
        pause = _POLL_S if child.status is not None else min(stop.pause(clock()), max(0.0, next_tick - clock()))
        _attend(child, wake, watcher, pause)
        if clock() >= next_tick:
            next_tick = clock() + TICK_S
            why = watcher.tick()
            if why is not None:
                stop.end(why)
    return child.status


def _attend(child: Child, wake: int, watcher: Watcher, seconds: float) -> None:
    """Sleep until output, the child's end or a signal comes, at most ``seconds``, and take what came."""
    if child.must_hear:
        child.hear()
        return
    rest = child.rest_until - time.monotonic()
    waiting = [wake] if child.status is not None else [wake, child.control.fileno()]
    if rest <= 0:
        waiting.append(child.output)
    else:
        seconds = min(seconds, rest)
    ready, _, _ = select.select(waiting, [], [], seconds)
    if wake in ready:
        os.read(wake, 4096)
    if child.output in ready:
        chunk = child.read()
        if chunk:
            watcher.output(chunk)
        if len(chunk) < PIPE_BYTES // 2:
            child.rest_until = time.monotonic() + _QUIET_S
    if child.status is None and child.control.fileno() in ready:
        child.hear()


def _is_alive(group: int) -> bool:
    """Say whether a process of ``group`` runs; one that ended and that nobody waits for does not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, _, owner = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
            if int(owner) == group and state not in "ZX":
                return True
    return False


def detach(begin: Callable[[], object]) -> bool:
    """Go on in a process of its own without a terminal; return True there, and False here once ``begin`` has run there.

    Raises:
        OSError: ``begin`` failed there.
    """
    began, beginning = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(began)
        os.setsid()
        # The parent of a session's leader may wait for it; nobody waits for its child.
        if os.fork() != 0:
            os._exit(0)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        begin()
        os.write(beginning, b"1")
        os.close(beginning)
        return True
    os.close(beginning)
    answer = os.read(began, 1)
    os.close(began)
    os.waitpid(child, 0)
    if not answer:
        raise OSError(errno.ECHILD, "the run's own process ended at once")
    return False
