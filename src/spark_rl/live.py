"""A run while it goes, as a person sees it: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spark_rl import counting, curves, times
from spark_rl.records import PHASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import RenderableType
    from rich.text import Text

    from spark_rl.records import Progress, Run

PLAIN_S = 30.0
"""Time between two plain lines where there is no terminal."""

_HISTORY = 240
_NAMES: Mapping[str, str] = {
    "launching": "start",
    "simulator": "simulator",
    "environment": "environment",
    "agent": "first iteration",
    "training": "training",
    "closing": "closing",
}


@dataclass(slots=True)
class Silent:
    """Shows nothing: for a run that nobody watches."""

    def update(self, run: Run, at: float) -> None:
        """Take the run as it is ``at`` seconds after this attempt began."""

    def output(self, chunk: bytes) -> None:
        """Take what the child printed."""

    def say(self, line: str) -> None:
        """Take a line for the user."""

    def close(self) -> None:
        """Stop showing."""


@dataclass(slots=True)
class Raw(Silent):
    """Shows the child's own output as it comes."""

    def output(self, chunk: bytes) -> None:
        """Print it."""
        with suppress(OSError):
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()

    def say(self, line: str) -> None:
        """Print it."""
        _print(line)


@dataclass(slots=True)
class Plain(Silent):
    """Shows a line at each change of phase, and one every ``every`` seconds."""

    every: float = PLAIN_S
    before: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    phase: str = ""
    due: float = 0.0

    def update(self, run: Run, at: float) -> None:
        """Print the line that is due, if any."""
        phase = str(run.job) if run.waits else run.progress.phase
        if phase == self.phase and self.clock() < self.due:
            return
        self.phase, self.due = phase, self.clock() + self.every
        _print(f"run {run.id}: {waiting(run) if run.waits else plain(run.progress, at, self.before)}")

    def say(self, line: str) -> None:
        """Print it."""
        _print(line)


class Live(Silent):
    """Shows the run in a few lines of the terminal that are drawn anew with each update."""

    def __init__(self, before: Mapping[str, float], footer: str, wanted: bool = True) -> None:  # noqa: FBT001, FBT002
        from rich.console import Console
        from rich.live import Live as Screen

        self.before = before
        self.footer = footer
        self.rewards: deque[float] = deque(maxlen=_HISTORY)
        self.console = Console(stderr=True, highlight=False)
        self.screen: Any = Screen(
            console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._unechoed: Any = None
        if wanted:
            self._hide_echo()
            self.screen.start()

    def update(self, run: Run, at: float) -> None:
        """Draw it."""
        reward = run.progress.reward
        if reward is not None and (not self.rewards or self.rewards[-1] != reward):
            self.rewards.append(reward)
        with suppress(OSError):
            self.screen.update(frame(run, at, self), refresh=True)

    def say(self, line: str) -> None:
        """Print it above the view."""
        with suppress(OSError):
            self.console.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the view off the screen."""
        with suppress(OSError):
            self.screen.stop()
        self._show_echo()

    def _hide_echo(self) -> None:
        """Keep the terminal from showing a Ctrl-C as ``^C``: it would be drawn into the view."""
        import termios

        with suppress(OSError, termios.error):
            before = termios.tcgetattr(2)
            changed = [*before]
            changed[3] &= ~termios.ECHOCTL
            termios.tcsetattr(2, termios.TCSANOW, changed)
            self._unechoed = before

    def _show_echo(self) -> None:
        import termios

        if self._unechoed is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(2, termios.TCSANOW, self._unechoed)
            self._unechoed = None


def _print(line: str) -> None:
    with suppress(OSError):  # a terminal that is gone
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def plain(progress: Progress, at: float, before: Mapping[str, float]) -> str:
    """Return how far a run is, in one line."""
    if progress.phase not in ("training", "closing"):
        return f"{_NAMES[progress.phase]}, {times.span(at)} since the start{_last_time(progress.phase, before)}"
    parts = [_NAMES[progress.phase], *_counts(progress), *_figures(progress), _saved(progress)]
    return ", ".join(part for part in parts if part)


def waiting(run: Run) -> str:
    """Return that an engine is yet to start a run, or to start it again, and what is kept of it."""
    assert run.job is not None  # noqa: S101 - an engine has it
    told = f"{run.job.engine} job {run.job.ident}, {run.job}"
    return f"{told}: goes on from {_saved(run.progress)}" if run.attempts else told


def _counts(progress: Progress) -> Iterable[str]:
    if progress.iteration is None:
        return
    total = progress.max_iterations
    yield f"{progress.iteration}/{total} iterations" if total else f"{progress.iteration} iterations"
    left = counting.seconds_left(progress)
    if left is not None:
        yield f"{times.span(left)} left"


def _figures(progress: Progress) -> Iterable[str]:
    if progress.reward is not None:
        yield f"reward {number(progress.reward)}"
    if progress.length is not None:
        yield f"episode length {number(progress.length)}"
    if progress.fps is not None:
        yield f"{progress.fps:,.0f} env steps/s"


def _saved(progress: Progress) -> str:
    if progress.checkpoint is None:
        return "no checkpoint yet"
    name = progress.checkpoint.rpartition("/")[2]
    unsaved = counting.unsaved(progress) or 0
    if not unsaved:
        return name
    since = times.span(unsaved * progress.iteration_seconds) if progress.iteration_seconds else ""
    return f"{name}, {unsaved} iteration{'s' if unsaved > 1 else ''} unsaved" + (f" ({since})" if since else "")


def number(value: float) -> str:
    """Return a reward or a length with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def frame(run: Run, at: float, view: Live) -> RenderableType:
    """Return the live view of a run ``at`` seconds after its attempt began."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    progress, width = run.progress, view.console.width - 2
    head = Text.assemble(("● ", "green"), (run.task, "bold"), f"  {run.library} {run.algorithm}  run {run.id}")
    if len(run.attempts) > 1:
        head.append(f"  attempt {len(run.attempts)}", "yellow")
    rows: list[RenderableType] = [_spread(head, Text(times.clock(at)), width)]
    if run.waits:
        rows.append(Text(waiting(run), no_wrap=True, overflow="ellipsis"))
    elif progress.phase in ("training", "closing"):
        rows += _training(progress, view, width)
    else:
        rows.append(_starting(progress, at, view.before, width))
    rows.append(_spread(_machine(progress), Text(), width))
    rows.append(Text(view.footer, "dim", no_wrap=True, overflow="ellipsis"))
    return Padding(Group(*rows), (0, 1))


def _training(progress: Progress, view: Live, width: int) -> list[RenderableType]:
    from rich.text import Text

    done, total = progress.iteration or 0, progress.max_iterations
    left = counting.seconds_left(progress)
    count = f"{done}/{total}" if total else f"{done} iterations"
    tail = Text(f"  {count}", "bold")
    if total:
        tail.append(f"  {100 * done // total} %")
    tail.append(f"  {times.clock(left)} left" if left is not None else "")
    if progress.phase == "closing":
        tail.append("  closing", "yellow")
    figures = Text("  ").join([Text(text) for text in _figures(progress)] or [Text("no episode has ended yet", "dim")])
    room = width - figures.cell_len - 2
    if len(view.rewards) > 2 and room > 10:
        figures.append(f"  {curves.spark(tuple(view.rewards), min(room, 40))}", "cyan")
    saved = Text("checkpoint ", "dim").append(_saved(progress), "")
    return [_bar(done, total, width - tail.cell_len, tail), figures, saved]


def _bar(done: int, total: int | None, width: int, tail: Text) -> Text:
    from rich.text import Text

    width = max(4, width)
    full = round(width * min(done / total, 1.0)) if total else 0
    return Text.assemble(("━" * full, "green"), ("━" * (width - full), "bright_black"), tail)


def _starting(progress: Progress, at: float, before: Mapping[str, float], width: int) -> Text:
    from rich.text import Text

    took = dict(progress.phases)
    row = Text(no_wrap=True, overflow="ellipsis")
    for phase in PHASES[:4]:
        if phase in took:
            row.append("✓ ", "green").append(f"{_NAMES[phase]} {times.span(took[phase])}   ", "dim")
        elif phase == progress.phase:
            now = at - sum(took.values())
            row.append("… ", "yellow").append(f"{_NAMES[phase]} {times.span(now)}", "bold")
            row.append(f"{_last_time(phase, before)}   ")
        else:
            row.append(f"· {_NAMES[phase]}   ", "dim")
    row.truncate(width, overflow="ellipsis")
    return row


def _last_time(phase: str, before: Mapping[str, float]) -> str:
    return f" (last time {times.span(before[phase])})" if phase in before else ""


def _machine(progress: Progress) -> Text:
    from rich.text import Text

    row = Text()
    if progress.gpu_percent is not None:
        row.append("GPU ", "dim").append(f"{progress.gpu_percent:.0f} %  ")
    if progress.memory_used_mib is not None and progress.memory_total_mib:
        used, total = progress.memory_used_mib / 1024, progress.memory_total_mib / 1024
        row.append("memory ", "dim").append(f"{used:.1f} of {total:.0f} GiB")
    return row


def _spread(left: Text, right: Text, width: int) -> Text:
    """Return two texts at the two ends of a line; the left one gives way."""
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
    return left.append(" " * max(0, width - left.cell_len - right.cell_len)).append_text(right)
