"""A sweep as a document: ``spark-rl/sweep/1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_rl import documents
from spark_rl.sweep.ranking import Row, ranked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_rl.model import Plan
    from spark_rl.sweep import Result, Sweep, Trial

Document = dict[str, Any]


def document(sweep: Sweep, results: Sequence[Result], **ended: Any) -> Document:
    """Return a sweep with its trials and their ranking; ``ended`` are further keys: how and where it came to this."""
    rows = ranked(results, sweep.goal)
    return {
        **_head(sweep),
        **ended,
        "ranking": [_row(rank, row) for rank, row in enumerate(rows, 1)],
        "trials": [_result(result) for result in sorted(results, key=lambda one: one.trial.number)],
    }


def planned(
    sweep: Sweep, pairs: Sequence[tuple[Trial, Plan]], takes: Mapping[str, Any], at_once: int | None, **more: Any
) -> Document:
    """Return what a sweep would run, every trial with its plan.

    Args:
        sweep: The sweep.
        pairs: The trials with their plans.
        takes: What each takes: ``cpus``, ``gpus``, ``memory_mib``, and ``reasons`` for them.
        at_once: How many run at once, None where an engine is left to decide.
        more: Further keys.
    """
    return {
        **_head(sweep),
        "state": "planned",
        "needs": dict(takes),
        "at_once": at_once,
        **more,
        "trials": [_trial(trial) | {"plan": documents.plan(plan)} for trial, plan in pairs],
    }


def _head(sweep: Sweep) -> Document:
    names = ("name", "metric", "goal", "search", "scheduler")
    return {"schema": "spark-rl/sweep/1"} | {name: getattr(sweep, name) for name in names} | {"seeds": [*sweep.seeds]}


def _trial(trial: Trial) -> Document:
    known: Mapping[str, Any] = {"number": trial.number, "combination": trial.combination, "seed": trial.seed}
    return {**known, "values": dict(trial.values)}


def _result(result: Result) -> Document:
    names = ("state", "run", "iteration", "max_iterations", "score", "node", "message")
    return _trial(result.trial) | {name: getattr(result, name) for name in names}


def _row(rank: int, row: Row) -> Document:
    scores = row.scores
    return {
        "rank": rank,
        "combination": row.combination,
        "values": dict(row.values),
        "state": row.state,
        "complete": row.complete,
        "median": row.median,
        "low": min(scores, default=None),
        "high": max(scores, default=None),
        "scores": list(scores),
        "trials": [result.trial.number for result in row.results],
    }
