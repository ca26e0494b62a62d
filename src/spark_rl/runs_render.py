"""What a person reads of recorded runs: lists, pages, curves, and how to get back to one."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from spark_rl import documents, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from spark_rl.comparison import Comparison, Learned
    from spark_rl.records import Run
    from spark_rl.selection import Listing
    from spark_rl.summaries import Summary
    from spark_rl.tuning import Climb


def runs(chosen: Listing, *, limit: int | None, as_json: bool) -> None:
    """Print runs, the newest first; on a terminal a table."""
    from spark_rl import run_tables, tables

    for bad in chosen.bad:
        render.talk(f"warning: {run_tables.unreadable(bad)}")
    if as_json:
        # Indenting is done in Python, and takes longer than reading ten thousand records.
        render.out(json.dumps(documents.runs(chosen.runs), indent=2 if len(chosen.runs) <= 100 else None))
        return
    if chosen.runs:
        render.out(run_tables.listing(chosen.runs, time.time(), tables.screen()))
    more = limit is not None and len(chosen.runs) == limit
    render.talk(f"note: {run_tables.footer(len(chosen.runs), len(chosen.bad), more=more)}")


def run(value: Run, start: Mapping[str, Any], folder: str, *, as_json: bool) -> None:
    """Print all that is recorded of a run."""
    from spark_rl import run_tables, tables

    if as_json:
        render.document(documents.run(value, start, folder))
    else:
        render.out(run_tables.page(value, start, folder, time.time(), tables.screen()))


def attached(states: Iterable[Run], *, every: float) -> int:
    """Show a run that goes on elsewhere until it is over; return the exit code it stands for."""
    shown: Any = None
    try:
        for run in states:
            shown = shown or render.viewer(raw=False, every=every, footer="Ctrl-C leaves it running")(run)
            shown.update(run, time.time() - (run.attempts[-1].started_at if run.attempts else run.started_at))
    except KeyboardInterrupt:
        if shown is None:
            raise
        shown.close()
        render.talk(f"left: run {run.id} goes on")
        return 0
    finally:
        if shown is not None:
            shown.close()
    stopped(run, as_json=False)
    return {"succeeded": 0, "interrupted": 130}.get(run.state, 1)


def stopped(run: Run, *, as_json: bool) -> None:
    """Print what a run that was stopped came to."""
    if as_json:
        render.document(documents.runs((_summary(run),)))
    else:
        render.out(f"{render.coloured(run.state, sys.stdout)}: run {run.id}, {run.message}")


def detached(run: Run, *, as_json: bool) -> None:
    """Say how to get back to a run that goes on without this terminal."""
    if as_json:
        render.document(documents.runs((_summary(run),)))
        return
    render.out(f"run {run.id} goes on without this terminal")
    _ways_back(run)


def submitted(run: Run, *, as_json: bool) -> None:
    """Say which job a run is, and how to follow it."""
    if as_json:
        render.document(documents.runs((_summary(run),)))
        return
    job = run.job
    assert job is not None  # noqa: S101 - it was submitted
    render.out(f"run {run.id} is {job.engine} job {job.ident}; its job prints to {job.log}")
    _ways_back(run)


def _ways_back(run: Run) -> None:
    for words in (f"attach {run.id}", f"log {run.id} -f", f"stop {run.id}"):
        render.out(f"  spark-rl runs {words}")


def _summary(run: Run) -> Summary:
    from spark_rl import registry
    from spark_rl.summaries import summarize

    return summarize(run, str(registry.path(run.id)))


def curves(learned: Sequence[Learned], tag: str | None, *, png: Path | None, as_json: bool) -> None:
    """Print a curve of some runs, or write it as a picture."""
    from spark_rl import plots, tables

    if as_json:
        render.document(documents.curves(learned))
        return
    plot = plots.plot(learned, tag, "env steps")
    if png is None:
        render.out(plots.terminal(plot, tables.screen(), ascii_only=plots.is_plain()))
        return
    plots.png(plot, png)
    render.talk(f"note: written to {png}")


def comparison(value: Comparison, learned: Sequence[Learned], *, png: Path | None, as_json: bool) -> None:
    """Print runs side by side: a table, and their rewards as curves."""
    from spark_rl import curve_tables, tables

    if as_json:
        render.document(documents.comparison(value))
        return
    render.out(curve_tables.comparison(value, tables.screen()))
    if any(run.reward.first is not None for run in learned):
        render.out("")
        curves(learned, None, png=png, as_json=False)


def climb(value: Climb, *, png: Path | None, as_json: bool) -> None:
    """Print what a climb over env counts came to, and write its curve as a picture where one is wanted."""
    from spark_rl import plots, tables, tune_tables

    if png is not None:
        plots.climb_png(value, png)
    if as_json:
        render.document(documents.tune(value))
        return
    render.out(tune_tables.climb(value, tables.screen(), ascii_only=plots.is_plain()))
    if png is not None:
        render.talk(f"note: written to {png}")
