"""Asking a child to end: the ladder of signals, and what asks for it."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
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


@dataclass(slots=True)
class Stop:
    """The stop ladder as signals arrive: each repetition or passed deadline climbs one rung."""

    grace_s: float
    received: int | None = None
    ending: Ending | None = None
    sent: list[signal.Signals] = field(default_factory=list)
    pending: int = 0
    hangups: int = 0
    deadline: float = 0.0

    def request(self, signum: int, _frame: FrameType | None) -> None:
        """Handle a signal that asks for a stop."""
        self.received = self.received or signum
        self.pending += 1

    def hang_up(self, _signum: int, _frame: FrameType | None) -> None:
        """Handle the loss of the terminal."""
        self.hangups += 1

    def end(self, why: Ending) -> None:
        """Take the watcher's wish to end it, unless it is ending already."""
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


@contextmanager
def signals(stop: Stop) -> Iterator[int]:
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
    stop = Stop(grace_s=0.0)
    with signals(stop):
        yield lambda: stop.received


def pause(seconds: float) -> int | None:
    """Wait, and return the signal that asked for a stop meanwhile, None when none did."""
    stop = Stop(grace_s=0.0)
    with signals(stop) as wake:
        until = time.monotonic() + seconds
        while stop.received is None and (left := until - time.monotonic()) > 0:
            if select.select([wake], [], [], left)[0]:
                os.read(wake, 4096)
    return stop.received
