"""Runs as their engines see them: one that waits in a queue, or whose supervisor is gone, tells nothing itself."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_rl import engines, jobs, registry
from spark_rl.errors import CheckError
from spark_rl.records import Run
from spark_rl.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spark_rl.engines import Status
    from spark_rl.selection import Listing
    from spark_rl.summaries import Summary

POLL_S = 0.2
"""Time between two looks at a record."""

ASK_S = 3.0
"""Time between two questions to an engine: its controller answers for a whole cluster."""


def listed(found: Listing) -> tuple[Summary, ...]:
    """Return what a list tells, with the engines' word on the runs in their jobs."""
    open_ = [row.id for row in found.runs if row.job and (not row.over or row.state == "lost")]
    runs = tuple(run for one in open_ if isinstance(run := registry.entry(one), Run))
    known = {run.id: summarize(run, str(registry.path(run.id))) for run in asked(runs)}
    return tuple(known.get(row.id, row) for row in found.runs)


def asked(runs: Sequence[Run]) -> Iterator[Run]:
    """Yield runs as their engines see them, each asked once; an end that only an engine saw is written down.

    Where an engine does not answer, that is the message.
    """
    told: dict[str, dict[str, Status] | str] = {}
    for run in runs:
        if run.job is None or not jobs.is_asked(run):
            yield run
            continue
        name = run.job.engine
        answer = told[name] if name in told else told.setdefault(name, _survey(name, runs))
        if isinstance(answer, str):
            yield replace(run, message=answer, hint=None)
        else:
            yield _seen(run, answer[run.job.ident])


def _survey(name: str, runs: Sequence[Run]) -> dict[str, Status] | str:
    """Return how the open jobs of an engine are, or why it does not tell."""
    same = (run.job for run in runs if jobs.is_asked(run))
    try:
        return engines.load(name).survey([job.ident for job in same if job is not None and job.engine == name])
    except CheckError as error:
        return error.message


def _seen(run: Run, status: Status) -> Run:
    """Return a run with the engine's word on it; where it is over, that is recorded."""
    seen = jobs.judged(run, status.state, status.native, status.reason)
    if not seen.over:
        return seen
    if not registry.claim(run.id):  # its supervisor is there after all
        return replace(run, job=seen.job)
    try:
        now = registry.load(run.id)
        if run.job is None or now.job is None or now.job.ident != run.job.ident or not jobs.is_asked(now):
            return now  # it has told its end meanwhile, or was submitted again
        ended = jobs.judged(now, status.state, status.native, status.reason)
        at = now.updated_at if now.attempts else time.time()  # its last sign of life, not when somebody looked
        registry.save(replace(ended, ended_at=at, updated_at=time.time()))
        return registry.load(run.id)
    finally:
        registry.release(run.id)


def looks(run: Run) -> Iterator[Run]:
    """Yield a run at every look; its engine is asked less often than its record."""
    seen, due = run, time.monotonic()
    while True:
        time.sleep(POLL_S)
        run = registry.load(run.id)
        if jobs.is_asked(run) and time.monotonic() >= due:
            seen = run = next(asked((run,)))
            due = time.monotonic() + ASK_S
        yield seen if run.waits or run.state == "lost" else run
