"""Being the first process of a container: pass signals on, and wait for every process that ends."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)

_divided = False


def is_first() -> bool:
    """Say whether a container lives only as long as this process, so that nothing can outlive it there."""
    return _divided


def divide() -> None:
    """Return in a child if this is the first process of a container, and at once if it is not.

    The kernel drops every signal that the first process has no handler for, and gives it all orphans, which stay
    zombies until it waits for them. So the first process does nothing else, and ends as its child does: with its exit
    code, or 128 and the number of the signal that killed it.
    """
    global _divided  # noqa: PLW0603 - which process this is
    if os.getpid() != 1:
        return
    _divided = True
    waiting = {*PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    child = os.fork()
    if child:
        _serve(child, waiting)
    _take_the_terminal()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(child: int, waiting: set[signal.Signals]) -> None:
    """Exit when the child has ended. A blocked signal is kept for ``sigwait``, also one that would be dropped."""
    while True:
        number = signal.sigwait(waiting)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, number)
        else:
            _reap(child)


def _reap(child: int) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                os._exit(code if code >= 0 else 128 - code)


def _take_the_terminal() -> None:
    """Have Ctrl-C sent to this process alone, since the first one would pass its own on; nobody could undo Ctrl-Z."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(OSError):  # there is no terminal, or it is not this session's
        os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)
