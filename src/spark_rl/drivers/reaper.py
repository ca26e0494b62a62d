"""Start a child, and leave nothing of it behind.

Run by path by spark-rl's own Python, with its standard input a socket to the supervisor::

    python -I -S reaper.py

The supervisor may be killed outright, and a shell may stand between it and the trainer: so this program, which does
nothing else, adopts every orphan below it, and kills all of them when the socket closes. One JSON document a line:

    to here     {"argv", "cwd", "env"}, then {"signal": N} to the child's group, then {"close": true}
    from here   {"pid": N} or {"errno": N, "file": F}, {"exit": STATUS} when the child has ended, {"closed": true}

STATUS is negative when a signal ended the child. A reaper that is killed itself takes the child with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would double what there is to load
    from typing import Any

CONTROL = 0
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LAST_WAIT_S = 10.0
"""A process in uninterruptible sleep (a dead network disk, a wedged driver) cannot be waited for longer than this."""


def main() -> int:
    """Run one child to its end."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    wake, wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    orders = Orders()
    first = orders.next()
    if first is None:
        return 1
    pid = spawn(first, prctl)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    try:
        serve(pid, orders, wake)
    finally:
        end_all(pid)
    say({"closed": True})
    return 0


def serve(pid: int, orders: Orders, wake: int) -> None:
    """Pass signals on and report the child's end, until the supervisor closes or is gone."""
    while True:
        ready, _, _ = select.select([CONTROL, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            reap(pid)
        if CONTROL not in ready:
            continue
        for order in orders.arrived():
            if order is None or "close" in order:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, order["signal"])


class Orders:
    """The documents that arrive on the socket."""

    def __init__(self) -> None:
        self.pending = b""

    def arrived(self) -> list[dict[str, Any] | None]:
        """Return the orders that are here, at least one; None stands for the end."""
        try:
            chunk = os.read(CONTROL, 1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            return [None]
        *lines, self.pending = (self.pending + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def next(self) -> dict[str, Any] | None:
        """Wait for the first order."""
        while True:
            found = self.arrived()
            if found:
                return found[0]


def say(document: dict[str, Any]) -> None:
    """Tell the supervisor, if it still listens."""
    with contextlib.suppress(OSError):
        os.write(CONTROL, json.dumps(document).encode() + b"\n")


def spawn(order: dict[str, Any], prctl: Any) -> int:
    """Start the child in a session of its own, without input and with signals as a terminal's shell gives them."""
    failed, failing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        become(order, failing, prctl)
    os.close(failing)
    problem = os.read(failed, 1 << 16)
    os.close(failed)
    say(json.loads(problem) if problem else {"pid": pid})
    return pid


def become(order: dict[str, Any], failing: int, prctl: Any) -> None:
    """Turn this process into the child; what goes wrong is written to ``failing``."""
    where = order["cwd"]
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (*IGNORED, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir(where)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        where = order["argv"][0]
        os.execvpe(where, order["argv"], order["env"])  # noqa: S606 - a list of words, and no shell
    except OSError as error:
        os.write(failing, json.dumps({"errno": error.errno, "file": where}).encode())
    finally:
        os._exit(127)


def reap(leader: int) -> bool:
    """Take the ended children off the system; return whether any is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == leader:
            say({"exit": os.waitstatus_to_exitcode(status)})


def end_all(leader: int) -> None:
    """Kill every descendant: those whose parent dies become children of this process, round after round."""
    last = time.monotonic() + LAST_WAIT_S
    while reap(leader) and time.monotonic() < last:
        for pid in children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def children() -> list[int]:
    """Return this process's own children."""
    found, me = [], os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib doubles this program's memory
        if name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - the same
                    fields = file.read().rpartition(b")")[2].split()
                if int(fields[1]) == me:
                    found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main())
