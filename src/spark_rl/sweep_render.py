"""What a person sees of a sweep: its plans, the trials while they run, what it came to."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spark_rl import render, sweep_plots, sweep_tables, tables
from spark_rl.launch import arrays, sweeping
from spark_rl.sweep import described, telling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spark_rl.engines import Submission
    from spark_rl.launch.fields import Field
    from spark_rl.launch.sweeping import Swept, View
    from spark_rl.model import Plan
    from spark_rl.sweep import Result, Sweep, Trial
    from spark_rl.sweep.packing import Needs, Room


def planned(
    sweep: Sweep, pairs: Sequence[tuple[Trial, Plan]], needs: Needs, there: Room | None, *, as_json: bool
) -> None:
    """Print what a sweep would run on Ray: each trial's plan as a line of shell; ``there`` is None for a cluster."""
    if as_json:
        takes = _takes(needs) | {"reasons": dict(needs.reasons)}
        at_once = there.at_once(needs, sweep.parallel) if there else None
        render.document(telling.planned(sweep, pairs, takes, at_once))
        return
    what = "the ends of its space, of which optuna draws" if sweep.search == "optuna" else "all of its trials"
    lines = [f"# sweep {sweep.name}: {_trainings(pairs)}, {what}"]
    lines += [f"# {line}" for line in sweep_tables.needs(needs, there, sweep.parallel)]
    render.out("\n".join((*lines, *_trials(pairs))))


def submission(
    sweep: Sweep, pairs: Sequence[tuple[Trial, Plan]], told: Submission, engine: str, script: str, *, as_json: bool
) -> None:
    """Print what a sweep would hand to an engine: each trial's plan as a line of shell, and the script."""
    if as_json:
        takes = _takes(told) | {"reasons": {}}
        render.document(telling.planned(sweep, pairs, takes, told.parallel, engine=engine, script=script))
        return
    head = f"# sweep {sweep.name}: {_trainings(pairs)}; {engine} gets {sweep_tables.submission(told, engine)}"
    stamp = ", where TIME is the time of the start" if f"{sweep.name}_TIME" in script else ""
    after = ("", f"# what {engine} gets{stamp}:", "", script.rstrip("\n"))
    render.out("\n".join((head, *_trials(pairs), *after)))


def _trainings(pairs: Sequence[object]) -> str:
    return f"{len(pairs)} training{'s' * (len(pairs) != 1)}"


def _takes(each: Needs | Submission) -> dict[str, Any]:
    return {name: getattr(each, name) for name in ("cpus", "gpus", "memory_mib")}


def _trials(pairs: Sequence[tuple[Trial, Plan]]) -> Iterator[str]:
    for trial, plan in pairs:
        yield from ("", f"# trial {trial.number}: {described(trial.values)} seed {trial.seed}")
        yield from (f"# {finding.level}: {finding.message}" for finding in plan.findings)
        yield render.shell(plan)


def swept(value: Swept, file: Path, *, png: Path | None, as_json: bool) -> None:
    """Print what the sweep of a file came to, or how far it is."""
    again = f"spark-rl sweep {shlex.quote(str(file))}"
    if as_json:
        _document(value)
    elif value.submitted is not None and value.job is not None:
        count = sum(result.state not in ("complete", "stopped") for result in value.results)
        render.out(f"{arrays.called(value.job)} has {count} trial{'s' * (count > 1)}, in {_near(value.field)}")
        render.out("\n".join(f"  {again} {word}" for word in ("--results", "--stop")))
    else:
        _tell(value, again)
    if png is not None:
        sweep_plots.png(value.rows, value.field.sweep, png)


def _document(value: Swept) -> None:
    job = value.job
    ended = {
        "state": "submitted" if value.submitted else "complete" if value.decided else "unfinished",
        "folder": str(value.field.folder),
        "total": value.total,
        "recipe": value.recipe,
        "submitted": value.submitted,
        "job": {name: getattr(job, name) for name in ("engine", "ident", "native", "reason")} if job else None,
        "out_of_time": value.out_of_time,
    }
    render.document(telling.document(value.field.sweep, value.results, **ended))


def _tell(value: Swept, again: str) -> None:
    sweep, screen = value.field.sweep, tables.screen()
    for drawn in sweep_plots.terminal(value.rows, sweep, screen):
        render.out(f"{drawn}\n")
    render.out(sweep_tables.ranking(value, screen))
    render.out(f"\ntrials: {sweep_tables.counts(value.results, value.total)}; in {_near(value.field)}")
    done = [result for result in value.results if result.state == "complete"]
    if value.recipe is None and done:
        render.talk(f"warning: {sweeping.unscored(done[0], sweep.metric)}")
    for result in value.results:
        if result.state == "failed":
            render.talk(f"warning: {sweep_tables.line(result, sweep.metric)}")
    if value.recipe is not None:
        render.out(f"best: spark-rl train --recipe {value.recipe}")
    if not value.decided:
        render.talk(f"note: {_unfinished(value, again)}")


def _unfinished(value: Swept, again: str) -> str:
    """Return why a sweep is not at its end, and what to do about it."""
    job, counts = value.job, sweep_tables.counts(value.results, value.total)
    if job is not None and job.waits:
        return f"{arrays.described(job)}; end it with: {again} --stop"
    over = f"{arrays.described(job)}; " if job is not None and job.native else ""
    why = "the time is over: " if value.out_of_time else over
    printed = f" (see {value.printed})" if value.printed else ""
    return f"{why}{counts}{printed}; go on with: {again} --resume"


def _near(field: Field) -> str:
    """Return the folder of a sweep as it is seen from the working directory."""
    here = field.folder.is_relative_to(field.cwd)
    return str(field.folder.relative_to(field.cwd) if here else field.folder)


def viewer(field: Field, at_once: int | None, *, every: float) -> View:
    """Return the view of a sweep: a live table on a terminal, plain lines elsewhere.

    Args:
        field: The sweep and its trials.
        at_once: How many run at once, None where that is a cluster's affair.
        every: Seconds between two plain lines.
    """
    sweep = field.sweep
    seeds = f" over seeds {', '.join(map(str, sweep.seeds))}" if len(sweep.seeds) > 1 else ""
    side = "" if at_once is None else f", {at_once} at once"
    render.talk(f"sweep: {sweep.name}, {field.total} trials{seeds}{side}, in {_near(field)}")
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR"):
        return Live(field)
    return Plain(field, every)


class Plain:
    """Shows a line when a trial ends, and one every so many seconds."""

    def __init__(self, field: Field, every: float) -> None:
        self._field, self._every = field, every
        self._states: dict[int, str] | None = None
        self._due = time.monotonic() + every

    def update(self, results: Sequence[Result]) -> None:
        """Print the lines that are due."""
        before = {result.trial.number: result.state for result in results} if self._states is None else self._states
        for result in results:
            if result.state != before.get(result.trial.number) and result.state != "waiting":
                self.say(sweep_tables.line(result, self._field.sweep.metric))
        self._states = {result.trial.number: result.state for result in results}
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            self.say(sweep_tables.progress(results, self._field.sweep, self._field.total))

    def say(self, line: str) -> None:
        """Print it."""
        with suppress(OSError):  # a terminal that is gone
            render.talk(line)

    def close(self) -> None:
        """Stop showing."""


class Live:
    """Shows the trials as a table that is drawn anew with each update."""

    def __init__(self, field: Field) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._field, self._began = field, time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._screen: Any = Screen(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._open = True
        self._screen.start()

    def update(self, results: Sequence[Result]) -> None:
        """Draw it."""
        from rich.text import Text

        if not self._open:
            return
        sweep, width = self._field.sweep, self._console.width
        height = shutil.get_terminal_size().lines - 4
        head = f"● {sweep.name}  {sweep_tables.counts(results, self._field.total)}"
        clock = sweep_tables.clock(time.monotonic() - self._began)
        screen = tables.Screen(width=width, colour=False)
        body = sweep_tables.running(sweep, results, screen, height)
        lines = (f"{head}  {clock}", *body, "Ctrl-C stops it, and --resume goes on")
        with suppress(OSError):
            self._screen.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)

    def say(self, line: str) -> None:
        """Print it above the table."""
        with suppress(OSError):
            self._console.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the table off the screen."""
        self._open = False
        with suppress(OSError):
            self._screen.stop()
