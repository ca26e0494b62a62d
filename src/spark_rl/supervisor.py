"""Owning a child from its start to the end of everything it started."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

Ending = Literal["stall", "hang", "memory", "peer"]
"""Why a watcher ends a run by itself: no new iteration, all done and still there, no memory left, another host over."""

LADDER = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
GRACE_S = 30.0
"""Time for a trainer to leave Kit's shutdown behind before the next rung of :data:`LADDER`."""

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Signals to spark-rl that ask for a stop; a lost terminal (HUP) does not. USR1 says that a time limit is near."""

HURRIED = (signal.SIGTERM, signal.SIGUSR1)
"""Those of a program that soon kills what is still there."""

SHORT_GRACE_S = 5.0
"""The same after the first rung when nobody is at the keyboard (Docker and its like kill after 10 s), and after each
when memory runs out."""

TICK_S = 1.0
"""Time between two looks at the run; the child's end and every signal cut it short."""

_POLL_S = 0.1
"""Time between two looks at what is left of a group whose leader has ended."""

_QUIET_S = 0.05
"""Rest after a small piece of output: a trainer that prints line by line must not wake the launcher for each."""

_REAPER_S = 15.0
"""Time for the reaper to end all that it adopted: longer than it waits itself."""

_PIPE_BYTES = 1 << 20
_REAPER = Path(__file__).parent / "drivers" / "reaper.py"


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


@dataclass(slots=True)
class _Stop:
    """The stop ladder as signals arrive: each repetition or passed deadline climbs one rung."""

    grace_s: float
    received: int | None = None
    ending: Ending | None = None
    sent: list[signal.Signals] = field(default_factory=list)
    pending: int = 0
    hangups: int = 0
    deadline: float = 0.0

    def request(self, signum: int, _frame: FrameType | None) -> None:
        self.received = self.received or signum
        self.pending += 1

    def hang_up(self, _signum: int, _frame: FrameType | None) -> None:
        self.hangups += 1

    def end(self, why: Ending) -> None:
        if self.ending is None and self.received is None:
            self.ending, self.pending = why, 1

    def due(self, now: float) -> signal.Signals | None:
        """Return the signal to send now, None when there is nothing to do yet."""
        left = self._left()
        if not left or not (self.pending or (self.sent and now >= self.deadline)):
            return None
        self.pending = max(0, self.pending - 1)
        hurry = self.ending == "memory" or (not self.sent and self.received in HURRIED)
        self.deadline = now + (min(self.grace_s, SHORT_GRACE_S) if hurry else self.grace_s)
        self.sent.append(left[0])
        return left[0]

    def in_vain(self, now: float) -> bool:
        """Say whether even the last rung did nothing: the child hangs in a dead disk or a wedged driver."""
        return not self._left() and now >= self.deadline

    def pause(self, now: float) -> float:
        """Return for how many seconds nothing is due."""
        if not self.sent or not self._left():
            return TICK_S
        return 0.0 if self.pending else min(TICK_S, max(0.0, self.deadline - now))

    def _left(self) -> tuple[signal.Signals, ...]:
        return LADDER[len(self.sent) :]


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
    stop = _Stop(grace_s=grace_s)
    with _signals(stop) as wake, Child(argv, cwd=cwd, environ=environ) as child:
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


class Child:
    """The child behind its reaper, and the pipe that its output comes through."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Start ``argv``.

        Raises:
            OSError: It cannot be started.
        """
        self.status: int | None = None
        self.rest_until = 0.0
        self._text = b""
        self.ended = False
        self.control, theirs = socket.socketpair()
        self.output, writing = os.pipe()
        with suppress(OSError):  # the user's share of big pipes is used up
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self.output, False)
        # A batch system sends TERM to everything in a job: the reaper must not die of it before it can ignore it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (*REQUESTS, signal.SIGHUP))
        try:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_REAPER)],
                stdin=theirs.fileno(),
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except OSError:
            self.control.close()
            os.close(self.output)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            os.close(writing)
        self._send({"argv": list(argv), "cwd": str(cwd), "env": dict(environ)})
        answer = self._receive()
        # A child that ends at once may have been reported with the first word: no second one will wake us.
        self.must_hear = bool(self._text)
        if "pid" not in answer:
            self.close()
            number = answer.get("errno", 0)
            raise OSError(number, os.strerror(number), answer.get("file", argv[0]))
        self.pid: int = answer["pid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; the last one does not rely on the reaper."""
        self._send({"signal": int(number)})
        if number == signal.SIGKILL:
            _kill_group(self.pid)

    def hear(self) -> None:
        """Take what the reaper says; one that is gone took the child with it, and leaves the rest of it to us."""
        self.must_hear = False
        answer = self._receive()
        if "exit" in answer:
            self.status = answer["exit"]
        elif not answer and self.status is None:
            _kill_group(self.pid)
            self.status = -signal.SIGKILL

    def read(self) -> bytes:
        """Return output that is there, at most a pipe full; nothing when there is none."""
        with suppress(BlockingIOError):
            return os.read(self.output, _PIPE_BYTES)
        return b""

    def end(self) -> None:
        """Have everything below the reaper killed, and wait for it."""
        if self.ended:
            return
        self.ended = True
        self._send({"close": True})
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_WR)
        try:
            self._reaper.wait(_REAPER_S)
        except subprocess.TimeoutExpired:
            self._reaper.kill()
            self._reaper.wait()

    def close(self) -> None:
        """End everything and let go of the pipes."""
        self.end()
        self.control.close()
        os.close(self.output)

    def _send(self, document: dict[str, Any]) -> None:
        with suppress(OSError):
            self.control.sendall(json.dumps(document).encode("utf-8", "surrogateescape") + b"\n")

    def _receive(self) -> dict[str, Any]:
        """Return the reaper's next word, nothing when it is gone."""
        while b"\n" not in self._text:
            with suppress(OSError):
                chunk = self.control.recv(4096)
                if chunk:
                    self._text += chunk
                    continue
            return {}
        line, _, self._text = self._text.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _follow(child: Child, stop: _Stop, wake: int, watcher: Watcher, clock: Callable[[], float]) -> int:
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
        if len(chunk) < _PIPE_BYTES // 2:
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


def _kill_group(group: int) -> None:
    # PermissionError: only processes of another user are left, such as a setuid program's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


@contextmanager
def _signals(stop: _Stop) -> Iterator[int]:
    """Hand the signals to a stop ladder for a ``with`` block; yield what can be read whenever one came.

    An ignored HUP stays ignored: that is what nohup is for.
    """
    handlers: dict[int, Any] = dict.fromkeys(REQUESTS, stop.request)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        handlers[signal.SIGHUP] = stop.hang_up
    wake, wakened = os.pipe()
    os.set_blocking(wakened, False)
    before_fd = signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield wake
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.close(wake)
        os.close(wakened)


Heard = Callable[[], "int | None"]
"""Says which signal asked for a stop, None when none did."""


@contextmanager
def listening() -> Iterator[Heard]:
    """Only note the signals for a ``with`` block, as long as nothing inside it handles them."""
    stop = _Stop(grace_s=0.0)
    with _signals(stop):
        yield lambda: stop.received


def pause(seconds: float) -> int | None:
    """Wait, and return the signal that asked for a stop meanwhile, None when none did."""
    stop = _Stop(grace_s=0.0)
    with _signals(stop) as wake:
        until = time.monotonic() + seconds
        while stop.received is None and (left := until - time.monotonic()) > 0:
            if select.select([wake], [], [], left)[0]:
                os.read(wake, 4096)
    return stop.received


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
